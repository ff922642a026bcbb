import { statSync } from 'node:fs';
import net from 'node:net';
import t, { type Test } from 'tap';
import { start } from '#src/index.js';
import { until } from '#test/support/deadline.js';
import { missingRoot, testWith } from '#test/support/machine/capability.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 20_000 };

interface Setup {
  readonly listener: object;
  readonly upstream?: object;
}

/** A proxy in this process, and whom its origin saw. */
async function proxy(t: Test, { listener, upstream }: Setup) {
  const seen: (string | undefined)[] = [];
  const origin = net.createServer((socket) => {
    seen.push(socket.remoteAddress);
    socket.on('error', () => {}).end('hello');
  });
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  t.teardown(() => origin.close());
  const { port } = origin.address() as net.AddressInfo;
  const config = {
    workers: 2,
    log: { level: 'silent' },
    listeners: { a: { bind: '127.0.0.1:0', tcp: { upstream: 'b' }, ...listener } },
    upstreams: { b: { endpoints: [`127.0.0.1:${port}`], ...upstream } },
  };
  const headgate = await start(JSON.stringify(config));
  t.teardown(() => headgate.close());
  const address = headgate.addresses[0]!.address;
  const ask = (localAddress = '127.0.0.1') =>
    new Promise<string>((resolve) => {
      let text = '';
      const to = address.startsWith('unix:')
        ? { path: address.slice(5) }
        : { host: '127.0.0.1', port: Number(address.split(':')[1]), localAddress };
      const socket = net.connect(to).setEncoding('utf8');
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code!));
      socket.on('end', () => resolve(text));
    });
  return { headgate, seen, ask };
}

t.test('listener options: who may connect is what the file says', timeout, async (t) => {
  const listener = { allow: ['127.0.0.0/8'], deny: ['127.0.0.66'], limits: { connections: 9 } };
  const { ask, headgate } = await proxy(t, { listener });
  t.equal(await ask(), 'hello');
  t.equal(await ask('127.0.0.66'), 'ECONNRESET');
  const closed = () => headgate.stats().listeners.a!.closed;
  await until(2_000, 'both are over', () => closed().done === 1);
  t.equal(closed().denied, 1);
});

t.test('listener options: the limit of a source holds over all workers', timeout, async (t) => {
  const listener = { limits: { connections_per_source: 1000 } };
  const { ask, headgate } = await proxy(t, { listener });
  for (let round = 0; round < 20; round++) t.equal(await ask(), 'hello');
  t.equal(headgate.stats().listeners.a!.closed.source_limit, 0);
});

t.test('listener options: every socket option at once', timeout, async (t) => {
  const keepalive = { idle: '1m', interval: '1500ms', count: 5 };
  const socket = { keepalive, user_timeout: '5s' };
  const { ask, seen } = await proxy(t, {
    listener: { socket: { ...socket, nodelay: false, fast_open: 16 } },
    upstream: { socket: { ...socket, source: '127.0.0.7' } },
  });
  t.equal(await ask(), 'hello');
  t.same(seen, ['127.0.0.7']);
});

t.test('listener options: a socket file has its mode from the beginning', timeout, async (t) => {
  const path = `${temporaryDirectory(t)}/mode.sock`;
  const { ask } = await proxy(t, { listener: { bind: `unix:${path}`, socket: { mode: '0600' } } });
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(await ask(), 'hello');
});

t.test('listener options: an owner nobody knows is an error, and leaves nothing', async (t) => {
  const path = `${temporaryDirectory(t)}/owner.sock`;
  const listener = { bind: `unix:${path}`, socket: { owner: 'no-such-user' } };
  await t.rejects(proxy(t, { listener }), {
    message: 'there is no user "no-such-user" in /etc/passwd',
  });
  t.equal(statSync(path, { throwIfNoEntry: false }), undefined);
});

testWith(missingRoot(), 'listener options: a socket file has its owner', timeout, async (t) => {
  const path = `${temporaryDirectory(t)}/owned.sock`;
  const socket = { owner: 'nobody', group: '12345', mode: '660' };
  await proxy(t, { listener: { bind: `unix:${path}`, socket } });
  const { uid, gid, mode } = statSync(path);
  t.same([uid, gid, mode & 0o777], [65534, 12345, 0o660]);
});

testWith(
  missingRoot(),
  'listener options: transparent keeps the client’s address',
  timeout,
  async (t) => {
    const { ask, seen } = await proxy(t, { listener: { socket: { transparent: true } } });
    t.equal(await ask('127.0.0.9'), 'hello');
    t.same(seen, ['127.0.0.9']);
  },
);
