// An HTTP origin made of Node, and headgate in front of it as a reverse proxy.
import http from 'node:http';
import type net from 'node:net';
import type { Test } from 'tap';
import { type Configured, startConfigured } from '../programs/configured.js';
import type { Headgate } from '../programs/headgate.js';

export interface HttpRigOptions {
  /** Keys of the configuration besides listeners and upstreams. */
  readonly config?: object;
  /** Keys of the listener's `http`; one route to the origin unless said. */
  readonly http?: object;
  /** Where the upstream is, if it is not this origin. */
  readonly endpoint?: string;
  /** Keys of the upstream. */
  readonly upstream?: object;
  readonly serverOptions?: http.ServerOptions;
}

export class HttpRig {
  /** Connections that were made to the origin. */
  accepted = 0;

  private constructor(
    readonly origin: http.Server,
    private readonly configured: Configured,
  ) {
    origin.on('connection', () => this.accepted++);
  }

  /** Starts both; the teardown of `t` ends them whatever happens. */
  static async start(
    t: Test,
    handler: http.RequestListener,
    options: HttpRigOptions = {},
  ): Promise<HttpRig> {
    const origin = http.createServer(
      { keepAliveTimeout: 60_000, ...options.serverOptions },
      handler,
    );
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      origin.closeAllConnections();
      origin.close();
    });
    const { port } = origin.address() as net.AddressInfo;
    const endpoint = options.endpoint ?? `127.0.0.1:${port}`;
    const configured = await startConfigured(t, {
      ...options.config,
      listeners: {
        web: { bind: '127.0.0.1:0', http: options.http ?? { routes: [{ upstream: 'origin' }] } },
      },
      upstreams: { origin: { endpoints: [endpoint], ...options.upstream } },
    });
    return new HttpRig(origin, configured);
  }

  get headgate(): Headgate {
    return this.configured.headgate;
  }

  get port(): number {
    return this.headgate.port;
  }

  url(path: string): string {
    return `http://${this.headgate.address}${path}`;
  }

  /** Asserts that nothing is left once the origin has hung up, and a clean exit. */
  async finish(): Promise<void> {
    this.origin.closeAllConnections();
    await this.configured.finish();
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
}

/** One request by node:http. @throws when there is no whole answer */
export function request(
  url: string,
  options: http.RequestOptions = {},
  body?: string | Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { agent: false, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode, headers, trailers } = response;
        resolve({ status: statusCode!, headers, trailers, body: Buffer.concat(chunks) });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Reads a request's body to its end. */
export async function bodyOf(message: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
