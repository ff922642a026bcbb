import {
  CongestionControl,
  ConnectPlan,
  changeListenOptions,
  congestionControlOf,
  Errno,
  type Kernel,
  type ListenOptions,
  localAddress,
  NativeMemory,
  openConnection,
  openListener,
  peerAddress,
  Sockaddr,
  Socket,
  type SocketAddress,
  SocketOption,
  TransparentSource,
} from '#src/splice/index.js';
import { missingRoot } from '#test/support/machine/capability.js';
import { congestionControls } from '#test/support/machine/congestion-controls.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

const { SOL_SOCKET, SO_KEEPALIVE, IPPROTO_TCP, IPPROTO_IP } = SocketOption;
const keepalive = { idleSeconds: 61, intervalSeconds: 7, count: 4 };

function option(kernel: Kernel, fd: number, level: number, name: number): number {
  const value = new NativeMemory(4);
  const length = new NativeMemory(4);
  length.bytes.writeInt32LE(4);
  kernel.getsockopt(fd, level, name, value.address, length.address);
  return value.bytes.readInt32LE();
}

function tcpOptions({ kernel }: SocketKit, fd: number): Record<string, number> {
  const tcp = (name: number) => option(kernel, fd, IPPROTO_TCP, name);
  return {
    nodelay: tcp(SocketOption.TCP_NODELAY),
    keepalive: option(kernel, fd, SOL_SOCKET, SO_KEEPALIVE),
    idle: tcp(SocketOption.TCP_KEEPIDLE),
    interval: tcp(SocketOption.TCP_KEEPINTVL),
    count: tcp(SocketOption.TCP_KEEPCNT),
    userTimeout: tcp(SocketOption.TCP_USER_TIMEOUT),
  };
}

function accepted(kit: SocketKit, options: Partial<ListenOptions>): [number, number] {
  const wanted = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
  const plain = { backlog: 8, reusePort: false, ipv6Only: false };
  const listener = kit.own(openListener(kit.kernel, wanted, { ...plain, ...options }));
  kit.connect(localAddress(kit.kernel, listener));
  return [listener, kit.accept(listener)];
}

socketTest('stream options: an accepted socket inherits what its listener has', (t, kit) => {
  const [, fd] = accepted(kit, { keepalive, userTimeoutMs: 12_345 });
  t.same(tcpOptions(kit, fd), {
    nodelay: 1,
    keepalive: 1,
    idle: 61,
    interval: 7,
    count: 4,
    userTimeout: 12_345,
  });
});

socketTest('stream options: without any, there is TCP_NODELAY alone', (t, kit) => {
  const [, fd] = accepted(kit, {});
  t.match(tcpOptions(kit, fd), { nodelay: 1, keepalive: 0, userTimeout: 0 });
  const [, delayed] = accepted(kit, { nodelay: false });
  t.match(tcpOptions(kit, delayed), { nodelay: 0 });
});

socketTest(
  'stream options: acknowledgements wait for the answer where that is wanted',
  (t, kit) => {
    const quick = (fd: number) => option(kit.kernel, fd, IPPROTO_TCP, SocketOption.TCP_QUICKACK);
    const [listener, fd] = accepted(kit, { delaysAcks: true });
    t.same([quick(listener), quick(fd)], [0, 0]);
    const [, plain] = accepted(kit, {});
    t.equal(quick(plain), 1);
  },
);

socketTest('stream options: Fast Open is an option of the listener', (t, kit) => {
  const [listener] = accepted(kit, { fastOpen: 33 });
  t.equal(option(kit.kernel, listener, IPPROTO_TCP, SocketOption.TCP_FASTOPEN), 33);
});

socketTest(
  'stream options: defer_accept keeps a connection back until it says something',
  (t, kit) => {
    const wanted = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
    const options = { backlog: 8, reusePort: false, ipv6Only: false, deferAcceptSeconds: 5 };
    const listener = kit.own(openListener(kit.kernel, wanted, options));
    const client = kit.connect(localAddress(kit.kernel, listener));
    t.ok(kit.kernel.accept4(listener, 0, 0, 0) < 0, 'nothing yet');
    const byte = new NativeMemory(1);
    kit.kernel.send(client, byte.address, 1, 0);
    kit.accept(listener);
  },
);

for (const family of ['inet', 'inet6', 'unix'] as const) {
  socketTest(`stream options: a connection (${family}) is made as planned`, (t, kit) => {
    const { fd: listener, address } = kit.listener(family);
    const plan = new ConnectPlan({
      keepalive,
      userTimeoutMs: 999,
      fastOpen: true,
      source: { family: 'inet', host: '127.0.0.7' },
    });
    const fd = kit.own(openConnection(kit.kernel, new Sockaddr(address), plan));
    if (family === 'unix') return void t.ok(fd >= 0, 'which has none of the options');
    const expected = { keepalive: 1, idle: 61, interval: 7, count: 4, userTimeout: 999 };
    t.match(tcpOptions(kit, fd), expected);
    const byte = new NativeMemory(1);
    kit.kernel.send(fd, byte.address, 1, 0);
    const peer = peerAddress(kit.kernel, kit.accept(listener));
    t.match(peer, { host: family === 'inet' ? '127.0.0.7' : '::1' });
  });
}

socketTest('stream options: a source that is not this machine’s fails the connection', (t, kit) => {
  const { address } = kit.listener();
  const plan = new ConnectPlan({ source: { family: 'inet', host: '192.0.2.1' } });
  t.ok(openConnection(kit.kernel, new Sockaddr(address), plan) < 0);
});

if (missingRoot() === undefined) {
  socketTest('stream options: a transparent listener has an address that is not ours', (t, kit) => {
    const wanted: SocketAddress = { family: 'inet', host: '192.0.2.1', port: 0 };
    const options = { backlog: 8, reusePort: false, ipv6Only: false, transparent: true };
    const fd = kit.own(openListener(kit.kernel, new Sockaddr(wanted), options));
    t.match(localAddress(kit.kernel, fd), { host: '192.0.2.1' });
    const [, accepted_] = accepted(kit, { transparent: true });
    t.equal(option(kit.kernel, accepted_, IPPROTO_IP, SocketOption.IP_TRANSPARENT), 1);
  });

  socketTest('stream options: a connection can have somebody else’s address', (t, kit) => {
    const { fd: listener, address } = kit.listener();
    const disguise = new TransparentSource('inet', '127.0.0.9');
    kit.own(openConnection(kit.kernel, new Sockaddr(address), undefined, disguise));
    t.match(peerAddress(kit.kernel, kit.accept(listener)), { host: '127.0.0.9' });
  });
}

/** One that anybody may have, other than the system's where there is one. */
function otherCongestionControl(kit: SocketKit): string {
  const fresh = kit.own(kit.kernel.socket(Socket.AF_INET, Socket.SOCK_STREAM, 0));
  const system = congestionControlOf(kit.kernel, fresh);
  return congestionControls('allowed').find((one) => one !== system) ?? system!;
}

socketTest('stream options: a congestion control is inherited, and taken back', (t, kit) => {
  const { kernel } = kit;
  const other = otherCongestionControl(kit);
  const [, plain] = accepted(kit, {});
  const system = congestionControlOf(kernel, plain);
  const [listener, fd] = accepted(kit, { congestionControl: other });
  t.same([congestionControlOf(kernel, listener), congestionControlOf(kernel, fd)], [other, other]);
  const options = { backlog: 8, reusePort: false, ipv6Only: false };
  t.equal(changeListenOptions(kernel, listener, Socket.AF_INET, options), undefined);
  kit.connect(localAddress(kernel, listener));
  t.equal(congestionControlOf(kernel, kit.accept(listener)), system, 'of those who come later');
});

socketTest('stream options: a connection has the congestion control that is planned', (t, kit) => {
  const other = otherCongestionControl(kit);
  for (const family of ['inet', 'inet6', 'unix'] as const) {
    const { address } = kit.listener(family);
    const open = (congestionControl: string) =>
      kit.own(
        openConnection(kit.kernel, new Sockaddr(address), new ConnectPlan({ congestionControl })),
      );
    t.equal(
      congestionControlOf(kit.kernel, open(other)),
      family === 'unix' ? undefined : other,
      family,
    );
    t.ok(open('nosuch') >= 0, 'one that there is not is not worth a connection');
  }
});

socketTest('stream options: a congestion control that no kernel has', (t, kit) => {
  const [listener] = accepted(kit, {});
  const set = (name: string) => new CongestionControl(name).set(kit.kernel, listener);
  t.equal(set('nosuch'), -Errno.ENOENT);
  t.throws(() => accepted(kit, { congestionControl: 'nosuch' }), {
    code: 'ENOENT',
    syscall: 'setsockopt TCP_CONGESTION',
  });
  for (const name of ['', 'a b', 'a'.repeat(16), 'ré']) {
    t.throws(() => new CongestionControl(name), RangeError, name);
  }
});
