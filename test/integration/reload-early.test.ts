// A reload that is asked for while the program starts: its addresses are bound, its workers do not serve yet.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
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
