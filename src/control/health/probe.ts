import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import type { Address } from '../../config/index.js';
import { V1_BYTES_MAX, writeProxyV1, writeProxyV2 } from '../../proxy/index.js';
import type { Clock, Timer } from '../discovery/index.js';
import { systemAuthorities } from '../tls/index.js';
import {
  type CheckedEndpoint,
  defaultStatuses,
  formatStatuses,
  type HealthCheck,
  type HttpCheck,
  type TlsCheck,
} from './check.js';
import { fail, failed, type Phase, pass, timedOut, type Verdict } from './verdict.js';

/** As much of a body is looked at. */
const BODY_BYTES_MAX = 64 * 1024;
const USER_AGENT = 'headgate-health';

/** Makes one check; calls `onVerdict` once, later, unless what it returns is called before. */
export type MakeProbe = (
  endpoint: CheckedEndpoint,
  check: HealthCheck,
  clock: Clock,
  onVerdict: (verdict: Verdict) => void,
) => () => void;

/** Checks with Node's own sockets: this is the control thread, and a check is a handful of packets. */
export const makeProbe: MakeProbe = (endpoint, check, clock, onVerdict) => {
  const probe = new Probe(endpoint, check, clock, onVerdict);
  return () => probe.cancel();
};

/**
 * One check under way. What it opens is closed with the verdict.
 *
 * ```
 *   connecting ──▶ securing ──▶ asking ──▶ reading ──▶ over
 *       │ └──────────────────────▲ │                    ▲
 *       └──────────┴───────────────┴────────────────────┘
 *            nothing more wanted, error, timeout, cancel
 * ```
 */
class Probe {
  private phase: Phase | 'over' = 'connecting';
  private readonly deadline: Timer;
  /** The outermost: TLS, once there is TLS. */
  private socket: net.Socket;
  private request: http.ClientRequest | undefined;

  constructor(
    private readonly endpoint: CheckedEndpoint,
    private readonly check: HealthCheck,
    clock: Clock,
    private readonly onVerdict: (verdict: Verdict) => void,
  ) {
    this.deadline = clock.setTimeout(() => this.timeout(), check.timeoutMs);
    this.socket = net.connect(connectOptions(endpoint.address, check.source));
    this.socket.on('error', (error) => this.fail(error));
    this.socket.once('connect', () => this.connected());
  }

  /** No verdict comes any more. */
  cancel(): void {
    if (this.phase !== 'over') this.end(false);
  }

  private connected(): void {
    if (this.phase !== 'connecting') return;
    const { tls, http, proxyVersion } = this.check;
    if (proxyVersion !== undefined) this.socket.write(localProxyHeader(proxyVersion));
    if (tls !== undefined) this.secure(tls);
    else if (http !== undefined) this.ask(http);
    else this.finish(pass('connection accepted'));
  }

  private secure(check: TlsCheck): void {
    this.phase = 'securing';
    const name = check.serverName ?? hostName(this.endpoint);
    this.attempt(() => {
      const socket = tls.connect({
        socket: this.socket,
        secureContext: secureContext(check),
        rejectUnauthorized: check.verify,
        // The certificate has to be for this one. An address is nothing that SNI could ask for (RFC 6066 §3).
        host: name,
        servername: net.isIP(name) === 0 ? name : '',
        ALPNProtocols: this.check.http === undefined ? [...(check.alpn ?? [])] : ['http/1.1'],
      });
      this.socket = socket;
      socket.on('error', (error) => this.fail(error));
      socket.once('secureConnect', () => this.secured(socket.getProtocol()));
    });
  }

  private secured(protocol: string | null): void {
    if (this.phase !== 'securing') return;
    const { http } = this.check;
    if (http !== undefined) this.ask(http);
    else this.finish(pass(`${protocol} handshake done`));
  }

  private ask(check: HttpCheck): void {
    this.phase = 'asking';
    this.attempt(() => {
      const request = http.request({
        createConnection: () => this.socket,
        path: check.path,
        headers: {
          host: check.host ?? this.hostHeader(),
          'user-agent': USER_AGENT,
          accept: '*/*',
          connection: 'close',
        },
      });
      this.request = request;
      request.on('error', (error) => this.fail(error));
      request.on('response', (response) => this.answered(check, response));
      // A 101 that nobody asked for is an answer like any other.
      request.on('upgrade', (response) => this.answered(check, response));
      request.end();
    });
  }

  /** RFC 9110 §7.2: with the port, unless it is the scheme's own. */
  private hostHeader(): string {
    const name = hostName(this.endpoint);
    const { address } = this.endpoint;
    const host = net.isIPv6(name) ? `[${name}]` : name;
    const ownPort = this.check.tls === undefined ? 80 : 443;
    return address.family === 'unix' || address.port === ownPort ? host : `${host}:${address.port}`;
  }

  private answered(check: HttpCheck, response: http.IncomingMessage): void {
    if (this.phase !== 'asking') return;
    const status = response.statusCode!;
    const expected = check.statuses ?? defaultStatuses;
    if (!expected.some(({ from, to }) => from <= status && status <= to)) {
      this.finish(fail(`status ${status}, expected ${formatStatuses(expected)}`));
    } else if (check.body === undefined) {
      this.finish(pass(`status ${status}`));
    } else {
      this.read(check.body, response);
    }
  }

  private read(expected: string, response: http.IncomingMessage): void {
    this.phase = 'reading';
    let body = Buffer.alloc(0);
    response.on('error', (error) => this.fail(error));
    response.on('data', (bytes: Buffer) => {
      body = Buffer.concat([body, bytes.subarray(0, BODY_BYTES_MAX - body.length)]);
      if (body.includes(expected)) this.finish(pass(`"${expected}" is in the body`));
      else if (body.length === BODY_BYTES_MAX) {
        this.finish(fail(`no "${expected}" in the first 64 KiB of the body`));
      }
    });
    response.on('end', () => this.finish(fail(`no "${expected}" in the body`)));
  }

  /** Node throws what it will not send at all, such as a path with blanks. */
  private attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.finish(fail(`the check cannot be made: ${(error as Error).message}`));
    }
  }

  private timeout(): void {
    if (this.phase !== 'over') this.finish(timedOut(this.check.timeoutMs, this.phase));
  }

  private fail(error: Error): void {
    if (this.phase !== 'over') this.finish(failed(error, this.phase));
  }

  private finish(verdict: Verdict): void {
    if (this.phase === 'over') return;
    // A server that was greeted politely is left so: with TLS's close_notify, which keeps its log quiet.
    this.end(verdict.outcome === 'pass' && this.request === undefined);
    this.onVerdict(verdict);
  }

  private end(isPolite: boolean): void {
    this.phase = 'over';
    this.deadline.cancel();
    this.request?.destroy();
    if (isPolite) this.socket.destroySoon();
    else this.socket.destroy();
  }
}

/** Nobody is spoken for: v1 UNKNOWN, v2 LOCAL. */
function localProxyHeader(version: 'v1' | 'v2'): Buffer {
  const bytes = Buffer.alloc(V1_BYTES_MAX);
  const write = version === 'v1' ? writeProxyV1 : writeProxyV2;
  return bytes.subarray(0, write(bytes, undefined));
}

/** @param source the local address, where it is of the same family */
function connectOptions(address: Address, source = ''): net.NetConnectOpts {
  switch (address.family) {
    case 'inet': {
      const { host, port } = address;
      return { host, port, ...(net.isIPv4(source) && { localAddress: source }) };
    }
    case 'inet6': {
      const host = address.zone === undefined ? address.host : `${address.host}%${address.zone}`;
      return { host, port: address.port, ...(net.isIPv6(source) && { localAddress: source }) };
    }
    case 'unix':
      return { path: address.abstract ? `\0${address.path}` : address.path };
  }
}

/** What the endpoint calls itself, as far as one can know. */
function hostName({ address, host }: CheckedEndpoint): string {
  return host ?? (address.family === 'unix' ? 'localhost' : address.host);
}

/** Certificates are parsed once for all checks of one kind. */
const contexts = new WeakMap<TlsCheck, tls.SecureContext>();

function secureContext(check: TlsCheck): tls.SecureContext {
  const known = contexts.get(check);
  if (known !== undefined) return known;
  const { certificate, minVersion, maxVersion, ciphers, ciphersuites, curves } = check;
  const lists = [ciphersuites, ciphers].filter((list) => list !== undefined);
  const context = tls.createSecureContext({
    ca: check.ca ?? systemAuthorities(),
    ...(certificate && { cert: certificate.chain, key: certificate.privateKey }),
    ...(minVersion && { minVersion: `TLSv${minVersion}` }),
    ...(maxVersion && { maxVersion: `TLSv${maxVersion}` }),
    // Node has one list for both, and takes what begins with TLS_ for version 1.3.
    ...(lists.length > 0 && { ciphers: lists.join(':') }),
    ...(curves && { ecdhCurve: curves }),
  });
  contexts.set(check, context);
  return context;
}
