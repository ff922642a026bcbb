// What Node's own parser, llhttp, makes of bytes: through its public door, a server or a client that is given a
// stream instead of a socket.
import http from 'node:http';
import { Duplex } from 'node:stream';
import type { Message, Reading } from '#test/proxy/http/message/messages.js';

const options = { maxHeaderSize: 64 << 10, insecureHTTPParser: false };

/** A stream that yields the given pieces and then ends; what is written to it is dropped. */
function streamOf(pieces: readonly Buffer[]): Duplex {
  const left = [...pieces];
  return new Duplex({
    read() {
      this.push(left.shift() ?? null);
    },
    write(_chunk, _encoding, done) {
      done();
    },
  });
}

interface Gathered extends Message {
  readonly chunks: Buffer[];
}

function gather(message: http.IncomingMessage, start: string): Gathered {
  const chunks: Buffer[] = [];
  const gathered: Gathered = {
    start,
    fields: message.rawHeaders,
    chunks,
    get body() {
      return Buffer.concat(chunks);
    },
    get isComplete() {
      return message.complete;
    },
  };
  message.on('data', (chunk: Buffer) => chunks.push(chunk));
  message.on('error', () => {});
  return gathered;
}

/** An error code of llhttp in `code`, if that is how it ended. */
export interface TheirReading extends Omit<Reading, 'ending'> {
  code: string | undefined;
}

/** Reads a stream of requests as a Node server does. */
export async function serverReading(pieces: readonly Buffer[]): Promise<TheirReading> {
  const reading: TheirReading = { messages: [], code: undefined };
  const server = http.createServer({ ...options, requestTimeout: 0, headersTimeout: 0 });
  server.maxHeadersCount = 0;
  const take = (message: http.IncomingMessage, answer?: http.ServerResponse) => {
    reading.messages.push(gather(message, `${message.method} ${message.url}`));
    answer?.end();
  };
  const tunnel = (message: http.IncomingMessage, socket: Duplex) => {
    reading.messages.push({
      start: `${message.method} ${message.url}`,
      fields: message.rawHeaders,
      body: Buffer.alloc(0),
      isComplete: true,
    });
    socket.destroy();
  };
  server.on('request', take);
  server.on('checkContinue', take);
  server.on('checkExpectation', take);
  server.on('connect', tunnel);
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    reading.code ??= error.code;
    // What was parsed before the fault is still on its way to its listeners.
    setImmediate(() => socket.destroy());
  });
  const stream = streamOf(pieces);
  await new Promise<void>((resolve) => {
    stream.on('close', resolve);
    stream.on('error', () => {});
    server.emit('connection', stream);
  });
  return reading;
}

/** Reads the responses to one request as a Node client does. */
export async function clientReading(
  pieces: readonly Buffer[],
  method: string,
): Promise<TheirReading> {
  const reading: TheirReading = { messages: [], code: undefined };
  const stream = streamOf(pieces);
  await new Promise<void>((resolve) => {
    const request = http.request({
      ...options,
      method,
      host: 'a.example',
      path: method === 'CONNECT' ? 'a.example:443' : '/',
      createConnection: () => stream as never,
    });
    request.on('information', ({ statusCode, rawHeaders }) => {
      const fields = rawHeaders as unknown as string[];
      const body = Buffer.alloc(0);
      reading.messages.push({ start: `${statusCode}`, fields, body, isComplete: true });
    });
    request.on('response', (response) => {
      reading.messages.push(gather(response, `${response.statusCode}`));
    });
    const tunnel = (response: http.IncomingMessage) => {
      const fields = response.rawHeaders;
      const body = Buffer.alloc(0);
      reading.messages.push({
        start: `${response.statusCode}`,
        fields,
        body,
        isComplete: true,
      });
      stream.destroy();
    };
    request.on('upgrade', tunnel);
    request.on('connect', tunnel);
    request.on('error', (error: NodeJS.ErrnoException) => {
      reading.code ??= error.code;
      stream.destroy();
    });
    stream.on('close', resolve);
    request.end();
  });
  return reading;
}
