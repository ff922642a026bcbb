// A server made of the parts of src/tls, in a thread of its own, for other people's clients.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Test } from 'tap';
import { createKernel, localAddress, openListener, Sockaddr } from '#src/splice/index.js';
import {
  type ContextUse,
  canRenewKernelKeys,
  type HandshakeFailure,
  type KernelTlsRefusal,
  type ServerTlsSettings,
  type TlsSession,
  TlsVersion,
} from '#src/tls/index.js';
import { until, within } from '../deadline.js';

export interface TlsThreadStart {
  readonly fd: number;
  readonly settings: ServerTlsSettings;
  readonly use: ContextUse;
  /** The kernel can change keys. */
  readonly canRenewKeys: boolean;
}

export type ToTlsThread =
  | { readonly type: 'stop' }
  | { readonly type: 'reload'; readonly settings: ServerTlsSettings };

export type FromTlsThread =
  | { readonly type: 'ready' | 'reloaded' }
  | {
      readonly type: 'done';
      readonly session: TlsSession;
      /** Why a direction is not the kernel's; 0 when it is. */
      readonly tx: KernelTlsRefusal;
      readonly rx: KernelTlsRefusal;
    }
  | { readonly type: 'failed'; readonly failure: HandshakeFailure; readonly detail: string };

type Said<Type extends FromTlsThread['type']> = Extract<FromTlsThread, { readonly type: Type }>;

const WAIT_MS = 10_000;

/**
 * The test runs inside a kernel with TLS (see tls-machine.ts), where the kernel has the records unless a test says
 * otherwise.
 */
export const isKernelExpected = process.env.HEADGATE_KERNEL_TLS === '1';

/** Asked before any test counts sockets. */
export const canRenewKeys = isKernelExpected && canRenewKernelKeys(createKernel());

/** What most tests do not care about. */
export const plainSettings: Omit<ServerTlsSettings, 'certificates'> = {
  minVersion: TlsVersion.Tls12,
  maxVersion: TlsVersion.Tls13,
  kernel: isKernelExpected ? 'require' : 'off',
  alpn: [],
  ticketKeys: [],
};

export interface TlsServerOptions {
  readonly kernel?: boolean;
}

export class TlsServer {
  readonly said: FromTlsThread[] = [];
  private failure: Error | undefined;

  private constructor(
    private readonly thread: Worker,
    readonly port: number,
  ) {
    thread.on('message', (message: FromTlsThread) => this.said.push(message));
    thread.on('error', (error) => {
      this.failure = error instanceof Error ? error : new Error(String(error));
    });
  }

  /** Runs until `t` is over. */
  static async start(
    t: Test,
    settings: ServerTlsSettings,
    { kernel = settings.kernel !== 'off' }: TlsServerOptions = {},
  ): Promise<TlsServer> {
    const calls = createKernel();
    const wanted = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
    const options = { backlog: 1024, reusePort: false, ipv6Only: false };
    const fd = openListener(calls, wanted, options);
    const address = localAddress(calls, fd);
    const workerData: TlsThreadStart = {
      ...{ fd, settings, use: { kernel }, canRenewKeys },
    };
    const thread = new Worker(new URL('./tls-thread.js', import.meta.url), { workerData });
    const server = new TlsServer(thread, address.family === 'unix' ? 0 : address.port);
    t.teardown(async () => {
      await server.stop();
      calls.close(fd);
    });
    await server.next('ready');
    return server;
  }

  /** What the thread says next of this kind; each is given once, in order. */
  async next<Type extends FromTlsThread['type']>(type: Type): Promise<Said<Type>> {
    return until(
      WAIT_MS,
      `the server says ${type}`,
      () => {
        if (this.failure !== undefined) throw this.failure;
        for (let at = 0; at < this.said.length; at++) {
          const message = this.said[at]!;
          if (message.type !== type) continue;
          this.said.splice(at, 1);
          return message as Said<Type>;
        }
        return undefined;
      },
      () => JSON.stringify(this.said),
    );
  }

  /** New connections are served by other settings from here on. */
  async reload(settings: ServerTlsSettings): Promise<void> {
    this.thread.postMessage({ type: 'reload', settings } satisfies ToTlsThread);
    await this.next('reloaded');
  }

  async stop(): Promise<void> {
    if (this.failure !== undefined) return;
    const gone = once(this.thread, 'exit');
    this.thread.postMessage({ type: 'stop' } satisfies ToTlsThread);
    await within(WAIT_MS, 'the server stops', gone);
  }
}
