// What goes wrong on the control thread, where no request is served: it must neither end the proxy for nothing, nor leave
// workers behind that nobody can stop.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import net from 'node:net';
import t, { type Test } from 'tap';
import { loadConfig } from '#src/config/index.js';
import { Supervisor } from '#src/control/index.js';
import { until, within } from '#test/support/deadline.js';
import { missingRoot, testWith } from '#test/support/machine/capability.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { freePort } from '#test/support/peers/address.js';
import { programPath, startHeadgate } from '#test/support/programs/headgate.js';
import { withoutLoader } from '#test/support/programs/program.js';

const timeout = { timeout: 30_000 };

/** Whether somebody says hello there, through the proxy. */
function isServed(to: net.NetConnectOpts): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(to);
    socket.on('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
  });
}

async function helloServer(t: Test): Promise<string> {
  const server = net.createServer((socket) => socket.on('error', () => {}).end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

t.test('control: what it prints needs no reader and no room', timeout, async (t) => {
  const upstream = await helloServer(t);
  const full = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(full));
  for (const stdout of [full, 'pipe'] as const) {
    const to = { host: '127.0.0.1', port: await freePort() };
    const words = ['tcp', `${to.host}:${to.port}`, upstream, '--workers', '2'];
    const [command, ...args] = withoutLoader([process.execPath, programPath, ...words]);
    const child: ChildProcess = spawn(command!, args, { stdio: ['ignore', stdout, 'ignore'] });
    t.teardown(() => child.kill('SIGKILL'));
    child.stdout?.destroy();
    const exit = once(child, 'exit');
    await until(10_000, 'it serves', () => isServed(to));
    // What it could not write has had its time to be noticed.
    await new Promise((resolve) => setTimeout(resolve, 300));
    t.ok(await isServed(to));
    child.kill('SIGTERM');
    t.same(await within(8_000, 'it ends in order', exit), [0, null]);
  }
});

t.test('control: a bug ends everything, and is in the log', timeout, async (t) => {
  const plant = 'process.on("SIGUSR2", () => setImmediate(() => { throw new Error("planted"); }))';
  const prefix = ['env', `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(plant)}`];
  const words = ['tcp', '127.0.0.1:0', await helloServer(t), '--workers', '2'];
  const headgate = await startHeadgate(words, { prefix });
  t.teardown(() => headgate.kill());
  const to = { host: '127.0.0.1', port: headgate.port };
  t.ok(await isServed(to));
  headgate.signal('SIGUSR2');
  const { code } = await within(8_000, 'it ends', headgate.exit, headgate.context);
  t.equal(code, 1);
  const line = headgate.logs.find(({ level }) => level === 60);
  t.match(line, { msg: /control thread/, err: { message: 'planted' } });
  t.notOk(await isServed(to));
});

t.test('control: a start without workers leaves nothing behind', timeout, async (t) => {
  const loaded = loadConfig(`workers: 2
log: { level: silent }
admin: { bind: "127.0.0.1:0" }
listeners: { web: { bind: "127.0.0.1:0", http: { upstream: app } } }
upstreams: { app: { demo: true } }`);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  // Node has no thread that is somewhere else.
  const start = () => Supervisor.start(loaded.config, { workerEntry: new URL('https://[::1]/') });
  await t.rejects(start(), { code: 'ERR_INVALID_URL_SCHEME' });
  const before = descriptors();
  await t.rejects(start(), { code: 'ERR_INVALID_URL_SCHEME' });
  const isSame = () => descriptors().socket === before.socket;
  await until(5_000, 'every socket is closed', isSame, () =>
    JSON.stringify([before, descriptors()]),
  );
});

t.test('control: without descriptors for its workers it says so and ends', timeout, async (t) => {
  const words = ['tcp', '127.0.0.1:0', '127.0.0.1:1', '--workers', '128'];
  const command = withoutLoader([process.execPath, programPath, ...words]);
  const limited = ['-c', 'ulimit -n 64 && exec "$@"', 'sh', ...command];
  const child = spawn('sh', limited, { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  t.same(await within(15_000, 'it ends', once(child, 'close'), () => stderr), [1, null]);
  t.match(stderr, /^headgate: out of file descriptors .*the limit of open files is 64; raise it/m);
});

const withoutProc = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh'];

testWith(missingRoot(), 'control: it serves without /proc', timeout, async (t) => {
  const words = ['tcp', '127.0.0.1:0', await helloServer(t), '--workers', '2'];
  const headgate = await startHeadgate(words, { prefix: withoutProc });
  t.teardown(() => headgate.kill());
  t.ok(await isServed({ host: '127.0.0.1', port: headgate.port }));
});
