import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setImmediate as otherEvents } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AdminConfig } from '../../config/index.js';
import { NoAnswer } from '../workers/index.js';
import { parserRefusal, send, sendRaw } from './answering.js';
import { Guard } from './guard.js';
import { type Reply, refusal } from './reply.js';
import { dropBody, readBody } from './request-body.js';
import { Router } from './router.js';
import { adminRoutes } from './routes.js';
import type { AdminTarget } from './target.js';

const CONNECTIONS_MAX = 64;
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_TIMEOUT_MS = 5_000;
/** Nothing moves either way: a client that does not read its answer. */
const SILENCE_TIMEOUT_MS = 30_000;
const HEADER_BYTES_MAX = 16 * 1024;

const NO_BODY = Buffer.alloc(0);

/** The admin endpoint's HTTP server. It answers everything it is sent, and never throws. */
export class AdminServer {
  private guard: Guard;
  private isRetired = false;
  /** What a connection was asked last settles when its answer has left, or nobody is there to take it. */
  private readonly turns = new WeakMap<Duplex, Promise<void>>();
  private readonly router: Router;
  private readonly server: Server;

  constructor(
    config: Pick<AdminConfig, 'token' | 'hosts'>,
    target: AdminTarget,
    private readonly logger: Logger,
  ) {
    this.guard = new Guard(config);
    this.router = new Router(adminRoutes(target));
    this.server = createServer({
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: HEADER_BYTES_MAX,
    });
    this.server.maxConnections = CONNECTIONS_MAX;
    this.server.timeout = SILENCE_TIMEOUT_MS;
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      // A client that goes away in the middle: there is nobody to tell.
      request.on('error', () => {});
      response.on('error', () => {});
      const { socket } = request;
      const before = this.turns.get(socket) ?? Promise.resolve();
      this.turns.set(
        socket,
        before.then(() => this.serve(request, response)),
      );
    };
    this.server.on('request', serve);
    this.server.on('checkContinue', serve);
    this.server.on('checkExpectation', (request, response) => {
      send(request, response, refusal(417, 'the only expectation known here is 100-continue'));
    });
    this.server.on('connect', (_, socket) => {
      sendRaw(socket, refusal(405, 'this is no proxy', { allow: 'GET, HEAD' }));
    });
    this.server.on('clientError', (error, socket) => sendRaw(socket, parserRefusal(error)));
    this.server.on('error', (error) => this.logger.error({ err: error }, 'admin: server failed'));
  }

  /** @param fd a bound and listening socket; it is the server's from now on */
  async listen(fd: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ fd }, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
  }

  /** Other tokens and names from now on; requests that were let in are answered. */
  protect(config: Pick<AdminConfig, 'token' | 'hosts'>): void {
    this.guard = new Guard(config);
  }

  /**
   * Accepts nothing more, and answers what it was asked.
   * @param onGone called when the last connection has ended
   */
  retire(onGone: () => void): void {
    this.isRetired = true;
    this.server.close(onGone);
    this.server.closeIdleConnections();
    setTimeout(() => this.server.closeAllConnections(), REQUEST_TIMEOUT_MS).unref();
  }

  /** Ends every connection, now. */
  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  /**
   * Requests of one connection have their turns, and nothing is computed for one that has gone: pipelined, they would
   * hold everybody up, and wait in memory for a client that does not read.
   */
  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.socket.destroyed) return;
    let reply: Reply;
    try {
      reply = await this.answer(request, response);
    } catch (error) {
      reply = this.explain(error, request);
    }
    await dropBody(request);
    // Nobody is to stay with an old address or token.
    if (this.isRetired) response.shouldKeepAlive = false;
    send(request, response, reply);
    await finished(response).catch(() => {});
    // What a socket takes at once is finished at once, and the next one would not let anybody else have a word.
    await otherEvents();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<Reply> {
    const stranger = this.guard.refuseStranger(request);
    if (stranger !== undefined) return stranger;
    const { method = '', url = '' } = request;
    // The absolute form names a host of its own, which nobody has looked at.
    if (!url.startsWith('/')) return refusal(400, 'expected a path that begins with /');
    const [path, query] = cut(url, '?');
    const found = this.router.find(method, path);
    const isPublic = 'route' in found && found.route.isPublic === true;
    const unknown = isPublic ? undefined : this.guard.refuseWithoutToken(request);
    if (unknown !== undefined) return unknown;
    if (!('route' in found)) return found;
    const { route, parameters } = found;
    const unfit = route.takesJson ? refuseNotJson(request) : undefined;
    if (unfit !== undefined) return unfit;
    const body = route.method === 'GET' ? NO_BODY : await readBody(request, response);
    if (!Buffer.isBuffer(body)) return body;
    return route.handle({ parameters, query: new URLSearchParams(query), body });
  }

  private explain(error: unknown, { method, url }: IncomingMessage): Reply {
    if (error instanceof NoAnswer) return refusal(503, error.message);
    this.logger.error({ err: error, method, url }, 'admin: a request could not be answered');
    return refusal(500, 'this should not have happened; the log says more');
  }
}

function refuseNotJson({ headers }: IncomingMessage): Reply | undefined {
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
    return refusal(411, 'expected a body');
  }
  const [type] = cut(headers['content-type'] ?? '', ';');
  if (type.trim().toLowerCase() === 'application/json') return undefined;
  return refusal(415, 'expected Content-Type: application/json');
}

/** What is before the first mark, and what is after it. */
function cut(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
