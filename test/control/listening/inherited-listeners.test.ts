import { existsSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import t from 'tap';
import { until } from '#test/support/deadline.js';
import { findProgram, missingProgram, testWith } from '#test/support/machine/capability.js';
import { Peer } from '#test/support/peers/peer.js';
import { startHeadgate } from '#test/support/programs/headgate.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 20_000 };

/** Binds what a service manager would, and becomes the command: the pid stays the same. */
const manager = `
import os, socket, sys
names, *rest = sys.argv[1:]
port, path = rest.pop(0), rest.pop(0)
tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind(('127.0.0.1', int(port)))
tcp.listen(64)
unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
unix.bind(path)
unix.listen(64)
a, b = os.dup(tcp.fileno()), os.dup(unix.fileno())
high = os.dup2(a, 100), os.dup2(b, 101)
os.dup2(100, 3, inheritable=True)
os.dup2(101, 4, inheritable=True)
for fd in range(5, 110):
    try: os.close(fd)
    except OSError: pass
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES=names)
os.execvp(rest[0], rest)
`;

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function served(address: string): Promise<void> {
  const client = await Peer.connect(address);
  client.socket.write('GET / HTTP/1.0\r\n\r\n');
  t.match((await client.read())?.toString(), /^HTTP\/1.1 200/, `served at ${address}`);
  client.close();
}

const python = findProgram('python3', '/usr/bin') ?? 'python3';

testWith(
  missingProgram(['python3']),
  'inherited listeners: by name and by address',
  timeout,
  async (t) => {
    const directory = temporaryDirectory(t);
    const [port, path, file] = [await freePort(), `${directory}/a.sock`, `${directory}/a.yaml`];
    const config = {
      workers: 2,
      listeners: {
        address: {
          bind: `127.0.0.1:${port}`,
          socket: { user_timeout: '9s' },
          tcp: { upstream: 'b' },
        },
        name: { bind: 'fd:web', tcp: { upstream: 'b' } },
      },
      upstreams: { b: { demo: true } },
    };
    writeFileSync(file, JSON.stringify(config));
    const prefix = [python, '-c', manager, 'db:web', String(port), path];
    const headgate = await startHeadgate(['run', '-c', file], { prefix });
    t.teardown(() => headgate.kill());
    t.equal(headgate.address, `127.0.0.1:${port}`);
    for (let round = 0; round < 5; round++) {
      await served(`127.0.0.1:${port}`);
      await served(`unix:${path}`);
    }
    const { address, name } = config.listeners;
    const reloads = () => headgate.logs.filter(({ msg }) => msg === 'reloaded').length;
    const changed = [{ address }, { address, other: { ...name, bind: `unix:${path}` } }];
    for (const [index, listeners] of changed.entries()) {
      writeFileSync(file, JSON.stringify({ ...config, listeners }));
      headgate.signal('SIGHUP');
      await until(3_000, 'the reload', () => reloads() === index + 1, headgate.context);
    }
    await served(`unix:${path}`);
    await served(`127.0.0.1:${port}`);
    t.same(await headgate.stop(), { code: 0, signal: null });
    t.ok(existsSync(path), 'the file is the manager’s to remove');
  },
);

testWith(
  missingProgram(['python3']),
  'inherited listeners: a name that is not there',
  timeout,
  async (t) => {
    const directory = temporaryDirectory(t);
    const [port, path, file] = [await freePort(), `${directory}/a.sock`, `${directory}/a.yaml`];
    const listeners = { a: { bind: 'fd:wbe', tcp: { upstream: 'b' } } };
    writeFileSync(file, JSON.stringify({ listeners, upstreams: { b: { demo: true } } }));
    const prefix = [python, '-c', manager, 'db:web', String(port), path];
    await t.rejects(startHeadgate(['run', '-c', file], { prefix }), {
      message: /cannot listen on fd:wbe: no such socket was handed over, there is fd:db, fd:web/,
    });
    await t.rejects(startHeadgate(['run', '-c', file]), {
      message: /cannot listen on fd:wbe: the service manager has handed over no sockets/,
    });
  },
);

testWith(
  missingProgram(['systemd-socket-activate']),
  'inherited listeners: as systemd hands them over',
  timeout,
  async (t) => {
    const [port, directory] = [await freePort(), temporaryDirectory(t)];
    const [file, path] = [`${directory}/a.yaml`, `${directory}/a.sock`];
    const listeners = {
      address: { bind: `127.0.0.1:${port}`, tcp: { upstream: 'b' } },
      name: { bind: 'fd:local', tcp: { upstream: 'b' } },
    };
    writeFileSync(
      file,
      JSON.stringify({ workers: 2, listeners, upstreams: { b: { demo: true } } }),
    );
    const activate = ['-l', `127.0.0.1:${port}`, '-l', path, '--fdname=web:local'];
    const prefix = ['systemd-socket-activate', ...activate];
    const starting = startHeadgate(['run', '-c', file], { prefix });
    // It starts the program when the first client connects, who then is served.
    await until(5_000, 'systemd listens', () => existsSync(path));
    await served(`127.0.0.1:${port}`);
    const headgate = await starting;
    t.teardown(() => headgate.kill());
    await served(`unix:${path}`);
    await served(`127.0.0.1:${port}`);
    t.same(await headgate.stop(), { code: 0, signal: null });
    t.ok(existsSync(path));
  },
);
