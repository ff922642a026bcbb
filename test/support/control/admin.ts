// An admin endpoint without a proxy behind it, and clients that ask it anything.
import http from 'node:http';
import net from 'node:net';
import { pino } from 'pino';
import type { Test } from 'tap';
import { type AdminConfig, parseListenAddress } from '#src/config/index.js';
import { AdminEndpoint } from '#src/control/admin/admin-endpoint.js';
import type { AdminTarget } from '#src/control/admin/index.js';
import { readStatistics } from '#src/control/statistics/statistics.js';
import { COUNTER_REGION_BYTES, Counters } from '#src/proxy/index.js';
import { createKernel } from '#src/splice/index.js';

/** A proxy that does nothing; a test overrides what it looks at. */
export function idleTarget(overrides: Partial<AdminTarget> = {}): AdminTarget {
  const counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
  return {
    statistics: () => ({
      ...readStatistics([counters], ['web']),
      uptimeMs: 1000,
      workers: { configured: 1, running: 1, deaths: 0 },
      reloads: { applied: 2, refused: 1, isLastRefused: true },
      limits: { connectionsMax: 1, pipeMemoryBytes: 1 },
      captures: {
        thread: 'off',
        complete: 0,
        incomplete: {},
        diskBytes: 0,
        deleted: 0,
        storedBytes: 0,
        storedFlows: 0,
      },
      routes: [],
      upstreams: [],
      names: [],
      validities: [],
      logLinesDropped: 0,
      accessFile: { errors: 0, linesLost: 0 },
    }),
    isReady: () => true,
    isHealthy: () => true,
    flows: async () => ({ flows: [], matched: 0 }),
    endFlow: async () => false,
    config: () => ({}),
    upstreams: () => [],
    setEndpoint: () => false,
    reload: async () => ({ ok: true, changes: [] }),
    isStopping: () => false,
    ...overrides,
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
}

export class AdminRig {
  readonly logs: string[] = [];
  private readonly agent = new http.Agent({ keepAlive: false });

  private constructor(readonly endpoint: AdminEndpoint) {}

  /** Starts an endpoint at `bind`, a free port of 127.0.0.1 unless said; the teardown of `t` ends it. */
  static async start(
    t: Test,
    target: Partial<AdminTarget> = {},
    config: Partial<AdminConfig> & { listen?: string } = {},
  ): Promise<AdminRig> {
    const { listen = '127.0.0.1:0', token = null, hosts = [] } = config;
    const bind = parseListenAddress(listen);
    if (!bind.ok) throw new Error(bind.reason);
    const endpoint = await AdminEndpoint.bind(createKernel(), { bind: bind.value, token, hosts });
    const rig = new AdminRig(endpoint);
    t.teardown(() => endpoint.close());
    const logger = pino({ level: 'info' }, { write: (line: string) => rig.logs.push(line) });
    await endpoint.serve(idleTarget(target), logger);
    return rig;
  }

  get port(): number {
    const { address } = this.endpoint;
    return address.family === 'unix' ? 0 : address.port;
  }

  /** One request on a connection of its own, over node:http. */
  ask(path: string, { method = 'GET', headers = {}, body }: AskOptions = {}): Promise<Answer> {
    const { address } = this.endpoint;
    const where =
      address.family === 'unix'
        ? { socketPath: address.path }
        : { host: address.host, port: address.port };
    return new Promise((resolve, reject) => {
      const request = http.request({ ...where, agent: this.agent, method, path, headers });
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: text }),
        );
        response.on('error', reject);
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  /** Sends bytes as they are and gives back what comes until the connection ends. */
  raw(bytes: string, { timeoutMs = 3_000 } = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.port, '127.0.0.1');
      let text = '';
      const timer = setTimeout(() => socket.destroy(new Error(`still open: ${text}`)), timeoutMs);
      socket.setEncoding('latin1');
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('close', () => {
        clearTimeout(timer);
        resolve(text);
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
      });
      socket.write(bytes);
    });
  }
}

/** The sentence of an error body. */
export function errorOf({ body }: Answer): string {
  const { error } = JSON.parse(body);
  if (typeof error !== 'string') throw new Error(`no error: ${body}`);
  return error;
}
