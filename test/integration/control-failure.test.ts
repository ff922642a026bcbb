// What goes wrong on the control thread, where no request is served: it must neither end the proxy for nothing, nor leave
// workers behind that nobody can stop.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import net from 'node:net';
import t, { type Test } from 'tap';
import { until, within } from '#test/support/deadline.js';
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
