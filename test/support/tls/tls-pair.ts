// Both ends of a TLS connection in this thread, taken forward step by step.
import { performance } from 'node:perf_hooks';
import { type Clock, createKernel, type Kernel } from '#src/splice/index.js';
import {
  ClientContext,
  type ClientTlsSettings,
  type ContextUse,
  Handshake,
  HandshakeResult,
  loadOpenSsl,
  ServerContexts,
  type ServerTlsSettings,
  type TlsRoom,
  TlsVersion,
  type UserlandTlsTransport,
} from '#src/tls/index.js';
import { pause, type SocketKit } from '../sockets/socket-kit.js';
import { authority, certificate } from './tls-kit.js';
import { plainSettings } from './tls-server.js';

/** What most tests do not care about. */
export const plainClient: Omit<ClientTlsSettings, 'ca'> = {
  minVersion: TlsVersion.Tls12,
  maxVersion: TlsVersion.Tls13,
  kernel: 'off',
  serverName: 'a.test',
  verify: true,
  alpn: [],
};

const realClock: Clock = {
  get nowMs() {
    return performance.now();
  },
};

export const room: TlsRoom = { kernel: createKernel(), clock: realClock };

const userland: ContextUse = { kernel: false };

export function serverContexts(
  settings: Partial<ServerTlsSettings> = {},
  use: ContextUse = userland,
  openssl = loadOpenSsl(),
): ServerContexts {
  const certificates = [certificate(['a.test'])];
  return new ServerContexts({ ...plainSettings, certificates, ...settings }, use, openssl);
}

export function clientContext(
  settings: Partial<ClientTlsSettings> = {},
  use: ContextUse = userland,
  openssl = loadOpenSsl(),
): ClientContext {
  return new ClientContext({ ...plainClient, ca: authority(), ...settings }, use, openssl);
}

const STEPS_MAX = 2000;

/** A server and a client, each at its end of a connection. */
export class TlsPair {
  readonly server: Handshake;
  readonly client: Handshake;
  serverResult: HandshakeResult = HandshakeResult.Waiting;
  clientResult: HandshakeResult = HandshakeResult.Waiting;
  private ends: { server: UserlandTlsTransport; client: UserlandTlsTransport } | undefined;

  /**
   * @param pair the near end is the server's
   * @param host the address the client thinks it speaks to
   */
  constructor(
    readonly kit: SocketKit,
    contexts: ServerContexts,
    context: ClientContext,
    { pair = kit.pair(), host = '127.0.0.1', isTcp = true, clock, kernel }: TlsPairOptions = {},
  ) {
    this.near = pair.near;
    this.far = pair.far.fd;
    const isShared = clock === undefined && kernel === undefined;
    const mine = isShared ? room : { ...room, ...(clock && { clock }), ...(kernel && { kernel }) };
    this.server = Handshake.accept(mine, contexts, this.near, isTcp);
    this.client = Handshake.connect(mine, context, this.far, isTcp, host, host);
  }

  readonly near: number;
  readonly far: number;

  /** Takes both ends as far as they go. @returns true when both are done */
  shake(): boolean {
    for (let step = 0; step < STEPS_MAX && this.isWaiting; step++) {
      this.step();
      if (step > 20) pause(1);
    }
    return this.serverResult === HandshakeResult.Done && this.clientResult === HandshakeResult.Done;
  }

  step(): void {
    if (this.clientResult === HandshakeResult.Waiting) this.clientResult = this.client.advance(0);
    if (this.clientResult === HandshakeResult.Failed) this.kit.close(this.far);
    if (this.serverResult === HandshakeResult.Waiting) this.serverResult = this.server.advance(0);
    if (this.serverResult === HandshakeResult.Failed) this.kit.close(this.near);
  }

  /** After both are done: the transports, which have the sockets. */
  takeOver(): { server: UserlandTlsTransport; client: UserlandTlsTransport } {
    if (this.ends === undefined) {
      this.kit.disown(this.near);
      this.kit.disown(this.far);
      this.ends = { server: this.server.takeOver(), client: this.client.takeOver() };
    }
    return this.ends;
  }

  /** Gives everything back, however far it got. */
  release(): void {
    if (this.ends !== undefined) return;
    this.server.release();
    this.client.release();
  }

  private get isWaiting(): boolean {
    const { Waiting, Failed } = HandshakeResult;
    const hasFailed = this.serverResult === Failed && this.clientResult === Failed;
    return !hasFailed && (this.serverResult === Waiting || this.clientResult === Waiting);
  }
}

export interface TlsPairOptions {
  readonly pair?: { readonly near: number; readonly far: { readonly fd: number } };
  readonly host?: string;
  readonly isTcp?: boolean;
  /** For what depends on the time. */
  readonly clock?: Clock;
  /** Other than the real one. */
  readonly kernel?: Kernel;
}
