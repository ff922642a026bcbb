import { existsSync } from 'node:fs';
import t, { type Test } from 'tap';
import { type Config, loadConfig } from '#src/config/index.js';
import { BoundListeners } from '#src/control/listening/bound-listeners.js';
import { InheritedListeners } from '#src/control/listening/inherited-listeners.js';
import {
  createKernel,
  Errno,
  getOption,
  type Kernel,
  openListener,
  Sockaddr,
  SocketOption,
  Splice,
  setOption,
} from '#src/splice/index.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const { SOL_SOCKET, SO_KEEPALIVE, IPPROTO_TCP, IPPROTO_IP, IP_TRANSPARENT } = SocketOption;
const { TCP_NODELAY, TCP_KEEPIDLE, TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_DEFER_ACCEPT } =
  SocketOption;
const { TCP_QUICKACK } = SocketOption;

function config(listener: object): Config {
  const loaded = loadConfig(
    JSON.stringify({
      listeners: { a: { bind: '127.0.0.1:0', tcp: { upstream: 'b' }, ...listener } },
      upstreams: { b: { demo: true } },
    }),
  );
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join());
  return loaded.config;
}

/** A kernel that refuses one option. */
function refusing(kernel: Kernel, refused: number): Kernel {
  return {
    ...kernel,
    setsockopt: (fd, level, name, value, length) =>
      level === IPPROTO_TCP && name === refused
        ? -Errno.EPERM
        : kernel.setsockopt(fd, level, name, value, length),
  };
}

/** A kernel that has room for so many duplicates of descriptors. */
function duplicating(kernel: Kernel, room: { left: number }): Kernel {
  return {
    ...kernel,
    fcntl: (fd, command, argument) =>
      command === Splice.F_DUPFD_CLOEXEC && room.left-- <= 0
        ? -Errno.EMFILE
        : kernel.fcntl(fd, command, argument),
  };
}

function boundTest(name: string, run: (t: Test) => Promise<void>): void {
  t.test(`bound listeners: ${name}`, async (t) => {
    const before = descriptors();
    await run(t);
    t.same(descriptors(), before, 'no descriptor is left open');
  });
}

function optionsOf(kernel: Kernel, fd: number): number[] {
  return (
    [
      [SOL_SOCKET, SO_KEEPALIVE],
      [IPPROTO_TCP, TCP_USER_TIMEOUT],
      [IPPROTO_TCP, TCP_FASTOPEN],
      [IPPROTO_TCP, TCP_DEFER_ACCEPT],
      [IPPROTO_TCP, TCP_NODELAY],
      [IPPROTO_TCP, TCP_QUICKACK],
      [IPPROTO_IP, IP_TRANSPARENT],
    ] as const
  ).map(([level, option]) => getOption(kernel, fd, level, option));
}

const everything = {
  backlog: 7,
  socket: {
    nodelay: false,
    keepalive: { idle: '77s' },
    user_timeout: '5s',
    fast_open: 16,
    defer_accept: '3s',
  },
};

boundTest('a socket that stays gets the options it should have', async (t) => {
  const kernel = createKernel();
  const listeners = new BoundListeners(kernel, 2);
  listeners.adopt(await listeners.prepare(config({})));
  const { fds } = listeners.all[0]!;
  const plain = fds.map((fd) => optionsOf(kernel, fd));
  listeners.adopt(await listeners.prepare(config(everything)));
  t.same(listeners.all[0]!.fds, fds, 'the same sockets');
  for (const fd of fds) {
    const [keepalive, userTimeout, fastOpen, deferAccept, nodelay] = optionsOf(kernel, fd);
    t.same([keepalive, userTimeout, fastOpen, nodelay], [1, 5000, 16, 0]);
    t.ok(deferAccept! > 0);
    t.equal(getOption(kernel, fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
  }
  listeners.adopt(await listeners.prepare(config({})));
  t.same(
    fds.map((fd) => optionsOf(kernel, fd)),
    plain,
    'what is not said any more is taken away',
  );
  listeners.abandon({ added: listeners.all, retuned: [] });
});

boundTest('a socket that stays acknowledges as its protocol wants it', async (t) => {
  const kernel = createKernel();
  const listeners = new BoundListeners(kernel, 2);
  const quick = () =>
    listeners.all[0]!.fds.map((fd) => getOption(kernel, fd, IPPROTO_TCP, TCP_QUICKACK));
  const http = { tcp: undefined, http: { routes: [{ respond: { status: 204 } }] } };
  for (const [listener, expected] of [
    [http, [0, 0]],
    [{}, [1, 1]],
    [http, [0, 0]],
    [{ ...http, accept_proxy_protocol: { from: ['127.0.0.0/8'] } }, [1, 1]],
  ] as const) {
    listeners.adopt(await listeners.prepare(config(listener)));
    t.same(quick(), expected);
  }
  listeners.abandon({ added: listeners.all, retuned: [] });
});

boundTest('what is refused changes nothing', async (t) => {
  const kernel = createKernel();
  const listeners = new BoundListeners(refusing(kernel, TCP_FASTOPEN), 2);
  listeners.adopt(await listeners.prepare(config({})));
  const { fds } = listeners.all[0]!;
  const before = fds.map((fd) => optionsOf(kernel, fd));
  await t.rejects(listeners.prepare(config({ bind: ['127.0.0.1:0', 'unix:@bl'], ...everything })), {
    message: /^setsockopt TCP_FASTOPEN 127\.0\.0\.1:\d+: EPERM/,
  });
  t.same(
    fds.map((fd) => optionsOf(kernel, fd)),
    before,
  );
  listeners.abandon({ added: listeners.all, retuned: [] });
});

boundTest('a change that is not made is undone', async (t) => {
  const kernel = createKernel();
  const listeners = new BoundListeners(kernel, 1);
  listeners.adopt(await listeners.prepare(config({ socket: { user_timeout: '9s' } })));
  const { fds } = listeners.all[0]!;
  const change = await listeners.prepare(
    config({ bind: ['127.0.0.1:0', '127.0.0.1:0'], ...everything }),
  );
  t.equal(change.added.length, 1);
  t.equal(getOption(kernel, fds[0]!, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
  listeners.abandon(change);
  t.equal(getOption(kernel, fds[0]!, IPPROTO_TCP, TCP_USER_TIMEOUT), 9000);
  t.equal(listeners.all.length, 1);
  listeners.abandon({ added: listeners.all, retuned: [] });
});

boundTest('what did not change is left alone', async (t) => {
  const kernel = createKernel();
  const listeners = new BoundListeners(kernel, 1);
  listeners.adopt(await listeners.prepare(config({})));
  const [fd] = listeners.all[0]!.fds;
  // By a hand that is not ours.
  setOption(kernel, fd!, IPPROTO_TCP, TCP_USER_TIMEOUT, 1234);
  listeners.adopt(await listeners.prepare(config({ limits: { connections: 5 } })));
  t.equal(getOption(kernel, fd!, IPPROTO_TCP, TCP_USER_TIMEOUT), 1234);
  listeners.abandon({ added: listeners.all, retuned: [] });
});

boundTest('a unix socket without room for all workers leaves nothing behind', async (t) => {
  const path = `${temporaryDirectory(t)}/a.sock`;
  const room = { left: 1 };
  const listeners = new BoundListeners(duplicating(createKernel(), room), 3);
  const wanted = config({ bind: `unix:${path}` });
  await t.rejects(listeners.prepare(wanted), {
    message: `fcntl F_DUPFD_CLOEXEC unix:${path}: EMFILE`,
  });
  t.notOk(existsSync(path), 'nobody can connect to it');
  room.left = 2;
  listeners.adopt(await listeners.prepare(wanted));
  t.equal(listeners.all[0]!.fds.length, 3, 'it can be bound once there is room');
  listeners.abandon({ added: listeners.all, retuned: [] });
});

boundTest('a socket of the service manager that could not be used can be later', async (t) => {
  const kernel = createKernel();
  const address = { family: 'unix', path: '@headgate-bound-listeners' } as const;
  const options = { backlog: 8, ipv6Only: false, reusePort: false };
  const fd = openListener(kernel, new Sockaddr(address), options);
  const inherited = new InheritedListeners([{ fd, name: 'web', address }]);
  const room = { left: 1 };
  const listeners = new BoundListeners(duplicating(kernel, room), 2, inherited);
  const wanted = config({ bind: 'fd:web' });
  await t.rejects(listeners.prepare(wanted), { message: 'fcntl F_DUPFD_CLOEXEC fd:web: EMFILE' });
  room.left = 2;
  listeners.adopt(await listeners.prepare(wanted));
  t.equal(listeners.all[0]!.fds.length, 2);
  listeners.abandon({ added: listeners.all, retuned: [] });
  kernel.close(fd);
});
