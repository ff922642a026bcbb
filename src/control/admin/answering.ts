import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Reply, refusal } from './reply.js';

/** On every answer: it is of this moment, and it is what it says it is. */
const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
/** A client whose request was not HTTP has so long to read that. */
const LINGER_MS = 500;

/** Sends an answer, and keeps the connection if the request has been read to its end. */
export function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (response.destroyed) return;
  response.writeHead(reply.status, {
    ...HEADERS,
    ...reply.headers,
    'content-length': Buffer.byteLength(reply.body),
    ...(!request.complete && { connection: 'close' }),
  });
  response.end(reply.body);
}

/** Answers what never became a request, and closes the connection. */
export function sendRaw(socket: Duplex, reply: Reply): void {
  // A socket of CONNECT has lost Node's listeners: a client that resets it would be an exception nobody catches.
  socket.on('error', () => {});
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const headers = {
    ...HEADERS,
    ...reply.headers,
    'content-length': Buffer.byteLength(reply.body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(
    `HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status]}\r\n${lines.join('')}\r\n${reply.body}`,
  );
  socket.resume();
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

/** The answer to what Node's HTTP parser refused (RFC 9110 §15.5.1, §15.5.9; RFC 6585 §5). */
export function parserRefusal({ code }: NodeJS.ErrnoException): Reply {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return refusal(408, 'the request took too long');
    case 'HPE_HEADER_OVERFLOW':
      return refusal(431, 'the headers are too long');
    default:
      return refusal(400, 'this is not an HTTP request');
  }
}
