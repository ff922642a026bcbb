import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  connectionQuality,
  createKernel,
  Epoll,
  Errno,
  EventPoll,
  type Kernel,
  localAddress,
  NativeMemory,
  openBound,
  openConnection,
  openListener,
  Sockaddr,
  Socket,
  type SocketAddress,
  SocketOption,
  setOption,
  takeSocketError,
} from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { RawPeer } from '#test/support/sockets/raw-peer.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

const loopback: SocketAddress = { family: 'inet', host: '127.0.0.1', port: 0 };
const alone = { backlog: 16, reusePort: false, ipv6Only: false };

function option(kernel: Kernel, fd: number, level: number, name: number): number {
  const value = new NativeMemory(4);
  const length = new NativeMemory(4);
  length.bytes.writeInt32LE(4);
  kernel.getsockopt(fd, level, name, value.address, length.address);
  return value.bytes.readInt32LE();
}

function listen(kit: SocketKit, address: SocketAddress, options = alone): number {
  return kit.own(openListener(kit.kernel, new Sockaddr(address), options));
}

/** A port of 127.0.0.1 at which nobody listens as long as the test runs. */
function heldPort(kit: SocketKit): number {
  const fd = kit.own(openBound(kit.kernel, new Sockaddr(loopback), alone));
  const address = localAddress(kit.kernel, fd);
  return address.family === 'unix' ? 0 : address.port;
}

/** Waits for a connection to be made or refused. */
function settled(kit: SocketKit, fd: number): number {
  const poll = new EventPoll(kit.kernel, 1);
  poll.add(fd, Epoll.EPOLLOUT, 0);
  const count = poll.wait(2000);
  const events = count === 1 ? poll.eventsAt(0) : 0;
  poll.close();
  return events;
}

function hasInet6(): boolean {
  const kernel = createKernel();
  try {
    const address = new Sockaddr({ family: 'inet6', host: '::1', port: 0 });
    kernel.close(openBound(kernel, address, alone));
    return true;
  } catch {
    return false;
  }
}
const noInet6 = hasInet6() ? false : 'no IPv6 loopback address';

function exchange(kit: SocketKit, listener: number, address: SocketAddress): string {
  const client = new RawPeer(kit, kit.connect(address));
  const server = new RawPeer(kit, kit.accept(listener));
  client.send(Buffer.from('hello'));
  settled(kit, client.fd);
  for (let times = 0; times < 1000 && server.receivedBytes < 5; times++) server.receive();
  return server.received.toString();
}

socketTest('socket: IPv4 listens where it says and connects', async (t, kit) => {
  const fd = listen(kit, loopback);
  const address = localAddress(kit.kernel, fd);
  t.equal(address.family, 'inet');
  t.match(address, { host: '127.0.0.1', port: Number });
  t.equal(exchange(kit, fd, address), 'hello');
});

if (noInet6 === false) {
  socketTest('socket: IPv6 listens where it says and connects', async (t, kit) => {
    const fd = listen(kit, { family: 'inet6', host: '::1', port: 0 });
    const address = localAddress(kit.kernel, fd);
    t.match(address, { family: 'inet6', host: '::1' });
    t.equal(exchange(kit, fd, address), 'hello');
  });

  socketTest('socket: [::] takes IPv4 as well, unless it is told not to', async (t, kit) => {
    for (const ipv6Only of [false, true]) {
      // What is left to others is held, so that nobody takes it: who is only bound refuses connections.
      const port = ipv6Only ? heldPort(kit) : 0;
      const fd = listen(kit, { family: 'inet6', host: '::', port }, { ...alone, ipv6Only });
      const bound = localAddress(kit.kernel, fd);
      if (bound.family === 'unix') throw new Error('unix');
      const { IPPROTO_IPV6, IPV6_V6ONLY } = SocketOption;
      t.equal(option(kit.kernel, fd, IPPROTO_IPV6, IPV6_V6ONLY), ipv6Only ? 1 : 0);
      const client = kit.connect({ family: 'inet', host: '127.0.0.1', port: bound.port });
      const events = settled(kit, client);
      t.equal((events & Epoll.EPOLLERR) !== 0, ipv6Only);
      t.equal(takeSocketError(kit.kernel, client), ipv6Only ? Errno.ECONNREFUSED : 0);
    }
  });
} else {
  t.test('socket: IPv6', { skip: noInet6 }, async () => {});
}

socketTest('socket: a unix path and an abstract name listen and connect', async (t, kit) => {
  const directory = mkdtempSync(join(tmpdir(), 'headgate-socket-'));
  for (const path of [join(directory, 'listening.sock'), `@headgate-socket-${process.pid}`]) {
    const fd = listen(kit, { family: 'unix', path });
    t.same(localAddress(kit.kernel, fd), { family: 'unix', path });
    t.equal(exchange(kit, fd, { family: 'unix', path }), 'hello');
  }
  rmSync(directory, { recursive: true });
});

socketTest('socket: what is accepted has TCP_NODELAY from its listener', async (t, kit) => {
  const { near, far } = kit.pair();
  const { IPPROTO_TCP, TCP_NODELAY } = SocketOption;
  t.not(option(kit.kernel, near, IPPROTO_TCP, TCP_NODELAY), 0);
  far.close();
});

socketTest('socket: two listeners share a port where both ask for it', async (t, kit) => {
  const shared = { ...alone, reusePort: true };
  const first = listen(kit, loopback, shared);
  const address = localAddress(kit.kernel, first);
  t.doesNotThrow(() => listen(kit, address, shared));
  t.throws(() => listen(kit, address, alone), { code: 'EADDRINUSE' });
});

socketTest('socket: a port that is taken is an error that names it', async (t, kit) => {
  const first = listen(kit, loopback);
  const address = localAddress(kit.kernel, first);
  const text = `${new Sockaddr(address)}`;
  t.throws(() => listen(kit, address), { code: 'EADDRINUSE', subject: text });
  t.throws(() => listen(kit, { family: 'inet', host: '192.0.2.1', port: 0 }), {
    message: 'bind 192.0.2.1:0: EADDRNOTAVAIL',
  });
  t.throws(() => listen(kit, { family: 'unix', path: '/nonexistent/headgate.sock' }), {
    code: 'ENOENT',
  });
});

for (const [syscall, times] of [
  ['socket', 1],
  ['setsockopt', 1],
  ['bind', 1],
  ['listen', 1],
] as const) {
  socketTest(`socket: a listener that fails at ${syscall} leaves no descriptor`, async (t) => {
    const libc = new ScriptedLibc();
    libc.fail(syscall, ...Array(times).fill(Errno.ENOBUFS));
    t.throws(() => openListener(createKernel(libc), new Sockaddr(loopback), alone), {
      code: 'ENOBUFS',
      subject: '127.0.0.1:0',
    });
  });
}

socketTest('socket: bound is not yet listening', async (t, kit) => {
  const fd = kit.own(openBound(kit.kernel, new Sockaddr(loopback), alone));
  const client = kit.connect(localAddress(kit.kernel, fd));
  settled(kit, client);
  t.equal(takeSocketError(kit.kernel, client), Errno.ECONNREFUSED);
});

socketTest('socket: a refused connection says why, once', async (t, kit) => {
  const fd = listen(kit, loopback);
  const address = localAddress(kit.kernel, fd);
  kit.close(fd);
  const client = kit.connect(address);
  t.ok((settled(kit, client) & Epoll.EPOLLERR) !== 0);
  t.equal(takeSocketError(kit.kernel, client), Errno.ECONNREFUSED);
  t.equal(takeSocketError(kit.kernel, client), 0, 'reading it clears it');
});

socketTest('socket: a connection that cannot begin is an error number', async (t, kit) => {
  const nobody = new Sockaddr({ family: 'unix', path: `@headgate-nobody-${process.pid}` });
  t.equal(openConnection(kit.kernel, nobody), -Errno.ECONNREFUSED);
  const nowhere = new Sockaddr({ family: 'unix', path: '/nonexistent/headgate.sock' });
  t.equal(openConnection(kit.kernel, nowhere), -Errno.ENOENT);
  for (const errno of [Errno.EMFILE, Errno.ENOBUFS]) {
    const libc = new ScriptedLibc();
    libc.fail('socket', errno);
    t.equal(openConnection(createKernel(libc), nobody), -errno);
    t.equal(libc.count('close'), 0);
  }
});

socketTest('socket: a unix queue that is full says so at once', async (t, kit) => {
  const address: SocketAddress = { family: 'unix', path: `@headgate-full-${process.pid}` };
  listen(kit, address, { ...alone, backlog: 0 });
  kit.connect(address);
  t.equal(openConnection(kit.kernel, new Sockaddr(address)), -Errno.EAGAIN);
});

socketTest('socket: an interrupted connect goes on', async (t, kit) => {
  const { fd, address } = kit.listener();
  const libc = new ScriptedLibc();
  libc.script('connect', (args, real) => real(...args) && -Errno.EINTR);
  const client = kit.own(openConnection(createKernel(libc), new Sockaddr(address)));
  t.ok(client >= 0);
  t.equal(settled(kit, client), Epoll.EPOLLOUT);
  t.ok(kit.accept(fd) >= 0);
});

socketTest('socket: options are set, and refused ones are numbers', async (t, kit) => {
  const { near } = kit.pair();
  const { SOL_SOCKET, SO_KEEPALIVE } = SocketOption;
  t.equal(setOption(kit.kernel, near, SOL_SOCKET, SO_KEEPALIVE, 1), 0);
  t.equal(option(kit.kernel, near, SOL_SOCKET, SO_KEEPALIVE), 1);
  t.equal(setOption(kit.kernel, near, SOL_SOCKET, 9999, 1), -Errno.ENOPROTOOPT);
});

socketTest('socket: an error that cannot be read is an error', async (t) => {
  t.equal(takeSocketError(createKernel(), -1), Errno.EBADF);
});

socketTest('socket: a socket without a name is an exception', async (t) => {
  t.throws(() => localAddress(createKernel(), -1), { code: 'EBADF', syscall: 'getsockname' });
});

socketTest('socket: a TCP connection has a quality, a unix one has none', async (t, kit) => {
  const { near, far } = kit.pair();
  far.send(Buffer.from('x'));
  const quality = connectionQuality(kit.kernel, far.fd);
  t.ok(quality !== undefined && quality.rttUs > 0 && quality.rttUs < 1e6, `${quality?.rttUs}`);
  t.equal(quality?.retransmits, 0);
  t.equal(connectionQuality(kit.kernel, kit.pair('unix').near), undefined);
  kit.close(near);
});

socketTest('socket: sockets are non-blocking and closed on exec', async (t, kit) => {
  const F_GETFD = 1;
  const F_GETFL = 3;
  const { fd, address } = kit.listener();
  const client = kit.connect(address);
  for (const one of [fd, client, kit.accept(fd)]) {
    t.equal(kit.kernel.fcntl(one, F_GETFD, 0), 1);
    t.not(kit.kernel.fcntl(one, F_GETFL, 0) & Socket.SOCK_NONBLOCK, 0);
  }
});
