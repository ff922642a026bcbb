import t, { type Test } from 'tap';
import {
  createKernel,
  Errno,
  type Kernel,
  localAddress,
  NativeMemory,
  openConnection,
  openListener,
  orThrow,
  Sockaddr,
  Socket,
  type SocketAddress,
} from '#src/splice/index.js';
import { descriptors } from '../machine/descriptors.js';
import { RawPeer } from './raw-peer.js';

/** Two connected sockets: the near one is for the code under test, the far one for the test. */
export interface Pair {
  readonly near: number;
  readonly far: RawPeer;
}

let abstractNames = 0;

/** The sockets of one test; what the test did not close is closed at its end. */
export class SocketKit {
  /** Never scripted: the test's own hands. */
  readonly kernel: Kernel = createKernel();
  private readonly open = new Set<number>();

  /** Makes a descriptor the kit's to close. */
  own(fd: number): number {
    this.open.add(fd);
    return fd;
  }

  /** Tells the kit that the code under test has closed, or will close, a descriptor. */
  disown(fd: number): number {
    this.open.delete(fd);
    return fd;
  }

  close(fd: number): void {
    this.open.delete(fd);
    this.kernel.close(fd);
  }

  closeAll(): void {
    for (const fd of this.open) this.kernel.close(fd);
    this.open.clear();
  }

  listener(family: SocketAddress['family'] = 'inet'): { fd: number; address: SocketAddress } {
    const name = `@headgate-test-${process.pid}-${abstractNames++}`;
    const wanted: SocketAddress =
      family === 'unix'
        ? { family, path: name }
        : { family, host: family === 'inet' ? '127.0.0.1' : '::1', port: 0 };
    const options = { backlog: 64, reusePort: false, ipv6Only: true };
    const fd = this.own(openListener(this.kernel, new Sockaddr(wanted), options));
    return { fd, address: localAddress(this.kernel, fd) };
  }

  /** @returns a connected or connecting socket */
  connect(address: SocketAddress): number {
    return this.own(orThrow(openConnection(this.kernel, new Sockaddr(address)), 'connect'));
  }

  /** Takes a connection that is there, or about to be. */
  accept(listener: number): number {
    const flags = Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;
    for (let attempt = 0; ; attempt++) {
      const fd = this.kernel.accept4(listener, 0, 0, flags);
      if (fd >= 0) return this.own(fd);
      if (attempt === 1000) orThrow(fd, 'accept4');
      pause(1);
    }
  }

  pair(family: SocketAddress['family'] = 'inet'): Pair {
    const { fd, address } = this.listener(family);
    const far = this.connect(address);
    const near = this.accept(fd);
    this.close(fd);
    return { near, far: new RawPeer(this, far) };
  }
}

/** Asserts that a client's connection was reset. */
export function expectReset(t: Test, { kernel }: SocketKit, fd: number): void {
  const memory = new NativeMemory(1);
  for (let attempt = 0; attempt < 1000; attempt++) {
    const result = kernel.recv(fd, memory.address, 1, 0);
    if (result !== -Errno.EAGAIN) return void t.equal(result, -Errno.ECONNRESET);
    pause(1);
  }
  t.fail('nothing happened to the connection');
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Sleeps without letting anything else run. */
export function pause(ms: number): void {
  Atomics.wait(sleeper, 0, 0, ms);
}

/** A test with sockets of its own, which ends by asserting that no descriptor is left open. */
export function socketTest(
  name: string,
  body: (t: Test, kit: SocketKit) => void | Promise<void>,
): void {
  t.test(name, async (t) => {
    const before = descriptors();
    const kit = new SocketKit();
    try {
      await body(t, kit);
    } finally {
      kit.closeAll();
    }
    const after = descriptors();
    // What loads modules may have had a file open, and has closed it.
    if (before.file !== undefined) after.file = Math.max(after.file ?? 0, before.file);
    t.same(after, before, 'no descriptor is left open');
  });
}
