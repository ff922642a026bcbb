import { chmodSync } from 'node:fs';
import type { Logger } from 'pino';
import type { AdminConfig } from '../config/index.js';
import {
  formatAddress,
  type Kernel,
  localAddress,
  openBound,
  Sockaddr,
  SystemCallError,
} from '../splice/index.js';
import type { AdminServer, AdminTarget } from './admin/index.js';
import { removeSocketFile, removeStaleSocket } from './listening.js';
import { socketAddress } from './socket-address.js';

const BACKLOG = 64;

/**
 * Where the admin endpoint listens. It is bound with the listeners, before any worker runs, so that
 * a failed bind is one clear error; who connects before it serves waits in the kernel.
 */
export class AdminEndpoint {
  /** As bound: with port 0 asked for, the port the kernel chose. */
  readonly address;
  private server: AdminServer | undefined;

  private constructor(
    private readonly kernel: Kernel,
    private readonly config: AdminConfig,
    private readonly fd: number,
  ) {
    this.address = localAddress(kernel, fd);
  }

  /** @throws SystemCallError with the address, when it cannot be bound */
  static async bind(kernel: Kernel, config: AdminConfig): Promise<AdminEndpoint> {
    const { bind } = config;
    const address = socketAddress(bind);
    if (address.family === 'unix') await removeStaleSocket(address.path);
    const sockaddr = new Sockaddr(address);
    const fd = openBound(kernel, sockaddr, {
      backlog: BACKLOG,
      ipv6Only: bind.family === 'inet6' && !bind.dualStack,
      reusePort: false,
    });
    // Before it listens: nobody connects to a file that is still open to others.
    if (bind.family === 'unix' && !bind.abstract) chmodSync(bind.path, 0o600);
    const result = kernel.listen(fd, BACKLOG);
    if (result >= 0) return new AdminEndpoint(kernel, config, fd);
    kernel.close(fd);
    throw new SystemCallError('listen', -result, sockaddr.toString());
  }

  /** What a person pastes into a browser or after `curl --unix-socket`. */
  get text(): string {
    const text = formatAddress(this.address);
    return this.address.family === 'unix' ? text : `http://${text}/`;
  }

  /** Answers requests from now on. */
  async serve(target: AdminTarget, logger: Logger): Promise<void> {
    // Loaded here, because most of it is prom-client, which a proxy without admin does not need.
    const { AdminServer } = await import('./admin/index.js');
    this.server = new AdminServer(this.config, target, logger);
    await this.server.listen(this.fd);
  }

  close(): void {
    if (this.server === undefined) this.kernel.close(this.fd);
    else this.server.close();
    removeSocketFile(this.address);
  }
}
