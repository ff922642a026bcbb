import { chmodSync, closeSync, openSync } from 'node:fs';
import type { Logger } from 'pino';
import type { AdminConfig } from '../../config/index.js';
import {
  formatAddress,
  type Kernel,
  localAddress,
  type SocketAddress,
} from '../../splice/index.js';
import {
  bindInet,
  bindUnix,
  type Claim,
  claimedAddress,
  removeSocketFile,
} from '../listening/index.js';
import { socketAddress } from '../socket-address.js';
import type { AdminServer } from './server.js';
import type { AdminTarget } from './target.js';

const BACKLOG = 64;
/** More than the modules of the server that are read at a time. */
const DESCRIPTORS_TO_LOAD = 32;

/**
 * Where the admin endpoint listens. It is bound with the listeners, before any worker runs, so that
 * a failed bind is one clear error; who connects before it serves waits in the kernel.
 */
export class AdminEndpoint {
  /** As bound: with port 0 asked for, the port the kernel chose. */
  readonly address: SocketAddress;
  /** Loaded once; another address is bound without. */
  private static Server: typeof AdminServer | undefined;
  private server: AdminServer | undefined;
  private isRetired = false;

  private constructor(
    private readonly kernel: Kernel,
    private config: AdminConfig,
    private readonly fd: number,
    private readonly Server: typeof AdminServer,
  ) {
    this.address = localAddress(kernel, fd);
  }

  /**
   * @param claims addresses of this process that the new one may overlap
   * @throws SystemCallError with the address, when it cannot be bound; Error with one line when there are
   *   too few descriptors left to read the program that serves
   */
  static async bind(
    kernel: Kernel,
    config: AdminConfig,
    claims: readonly Claim[] = [],
  ): Promise<AdminEndpoint> {
    const { bind } = config;
    AdminEndpoint.Server ??= await loadServer(bind.text);
    const { Server } = AdminEndpoint;
    const address = socketAddress(bind);
    if (address.family !== 'unix') {
      const options = { backlog: BACKLOG, reusePort: false, ipv6Only: false };
      const { fds } = bindInet(kernel, bind, options, 1, claims);
      return new AdminEndpoint(kernel, config, fds[0]!, Server);
    }
    const [fd] = await bindUnix(kernel, address, BACKLOG, 1, (path) => chmodSync(path, 0o600));
    return new AdminEndpoint(kernel, config, fd!, Server);
  }

  /** What a person pastes into a browser or after `curl --unix-socket`. */
  get text(): string {
    const text = formatAddress(this.address);
    return this.address.family === 'unix' ? text : `http://${text}/`;
  }

  get claim(): Claim {
    return { address: claimedAddress(this.config.bind, this.address), fds: [this.fd] };
  }

  /** Whether it would be bound just the same. */
  isAt({ bind }: AdminConfig): boolean {
    return bind.text === this.config.bind.text;
  }

  /** Answers requests from now on. */
  async serve(target: AdminTarget, logger: Logger): Promise<void> {
    this.server = new this.Server(this.config, target, logger);
    await this.server.listen(this.fd);
  }

  /** Asks for another token, or answers to other names. */
  protect(config: AdminConfig): void {
    this.config = config;
    this.server?.protect(config);
  }

  /**
   * Accepts nothing more; what is being asked is answered.
   * @param onGone called when it is
   */
  retire(onGone: () => void): void {
    this.isRetired = true;
    removeSocketFile(this.address);
    if (this.server !== undefined) {
      this.server.retire(onGone);
      return;
    }
    this.kernel.close(this.fd);
    onGone();
  }

  /** Ends every connection, now. */
  close(): void {
    if (this.server !== undefined) this.server.close();
    else if (!this.isRetired) this.kernel.close(this.fd);
    // It may be the next one's by now.
    if (!this.isRetired) removeSocketFile(this.address);
  }
}

/**
 * Loaded for those who have it, because most of it is prom-client; and before anything is bound, so that a reload is
 * refused, and not half done, where descriptors are used up. Node reads some files at a time, and remembers of each for
 * good that it could not be read: without room for them all none is begun.
 */
async function loadServer(text: string): Promise<typeof AdminServer> {
  const held: number[] = [];
  try {
    while (held.length < DESCRIPTORS_TO_LOAD) held.push(openSync('/dev/null', 'r'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`cannot listen on ${text}: ${code ?? message}`);
  } finally {
    for (const fd of held) closeSync(fd);
  }
  return (await import('./server.js')).AdminServer;
}
