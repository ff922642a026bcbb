// A reload that is asked for while the program starts: its addresses are bound, its workers do not serve yet.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import net from 'node:net';
import t from 'tap';
import { until, within } from '#test/support/deadline.js';
import { freePort } from '#test/support/peers/address.js';
import { programPath } from '#test/support/programs/headgate.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const config = (port: number): string =>
  `workers: 1
listeners: { a: { bind: "127.0.0.1:${port}", http: { upstream: app } } }
upstreams: { app: { demo: true } }`;

/** Whether somebody has bound the port. */
function isBound(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    const answer = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}

t.test('reload: SIGHUP before workers serve is heard', { timeout: 30_000 }, async (t) => {
  const file = `${temporaryDirectory(t)}/gate.yaml`;
  const [before, after] = [await freePort(), await freePort()];
  writeFileSync(file, config(before));
  const child = spawn(process.execPath, [programPath, 'run', '-c', file], {
    stdio: 'ignore',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit');
  const hasExited = () => child.exitCode !== null || child.signalCode !== null;
  const state = () => `exit code ${child.exitCode}, signal ${child.signalCode}`;
  await until(10_000, 'it binds', async () => hasExited() || (await isBound(before)), state);
  writeFileSync(file, config(after));
  child.kill('SIGHUP');
  await until(10_000, 'it reloads', async () => hasExited() || (await isBound(after)), state);
  t.equal(child.signalCode, null, 'nobody has ended it');
  t.equal(await isBound(after), true);
  child.kill('SIGTERM');
  t.same(await within(10_000, 'it ends', exit, state), [0, null]);
});

/** Hands a configuration to whoever opens the pipe, once that has happened. */
async function offer(fifo: string, text: string, onOpened: () => void = () => {}): Promise<void> {
  const writer = await open(fifo, 'w');
  onOpened();
  await writer.write(text);
  await writer.close();
}

t.test('reload: SIGHUP while the file is first read is heard', { timeout: 30_000 }, async (t) => {
  const fifo = `${temporaryDirectory(t)}/gate.yaml`;
  execFileSync('mkfifo', [fifo]);
  const [before, after] = [await freePort(), await freePort()];
  const child = spawn(process.execPath, [programPath, 'run', '-c', fifo], {
    stdio: 'ignore',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit');
  const state = () => `exit code ${child.exitCode}, signal ${child.signalCode}`;
  // Three of them: what waits for its turn is one reload, and the next reader of the pipe.
  const signal = () => {
    for (let count = 0; count < 3; count++) child.kill('SIGHUP');
  };
  await within(10_000, 'it reads', offer(fifo, config(before), signal), state);
  const hasExited = () => child.exitCode !== null || child.signalCode !== null;
  await until(10_000, 'it binds', async () => hasExited() || (await isBound(before)), state);
  await within(10_000, 'it reads again', Promise.race([offer(fifo, config(after)), exit]), state);
  t.equal(child.signalCode, null, 'nobody has ended it');
  await until(10_000, 'it reloads', async () => hasExited() || (await isBound(after)), state);
  t.equal(await isBound(after), true);
  child.kill('SIGTERM');
  t.same(await within(10_000, 'it ends', exit, state), [0, null]);
});

t.test(
  'start: SIGTERM before workers serve leaves nothing behind',
  { timeout: 30_000 },
  async (t) => {
    const directory = temporaryDirectory(t);
    const path = `${directory}/gate.sock`;
    writeFileSync(`${directory}/gate.yaml`, config(0).replace('127.0.0.1:0', `unix:${path}`));
    const child = spawn(process.execPath, [programPath, 'run', '-c', `${directory}/gate.yaml`], {
      stdio: 'ignore',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    t.teardown(() => child.kill('SIGKILL'));
    const exit = once(child, 'exit');
    const state = () => `exit code ${child.exitCode}, signal ${child.signalCode}`;
    await until(10_000, 'it binds', () => child.exitCode !== null || existsSync(path), state);
    child.kill('SIGTERM');
    t.same(await within(10_000, 'it ends', exit, state), [0, null]);
    t.equal(existsSync(path), false, 'the socket is gone');
  },
);
