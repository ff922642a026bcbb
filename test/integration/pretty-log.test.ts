// The log for people: asked for, or on a terminal. What makes it is loaded only then.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { until, within } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { programPath, startHeadgate } from '#test/support/programs/headgate.js';
import { withoutLoader } from '#test/support/programs/program.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 30_000 };
const TIME = String.raw`^\s*\[\d\d:\d\d:\d\d\.\d{3}\] `;

function writeConfig(t: Test, log: object, bind = '127.0.0.1:0'): string {
  const file = `${temporaryDirectory(t)}/headgate.yaml`;
  const http = { routes: [{ respond: { status: 200, body: 'here' } }] };
  const listeners = { web: { bind, http } };
  writeFileSync(file, JSON.stringify({ workers: 1, log, listeners }));
  return file;
}

/** What Node is to do before the program begins. */
function planting(script: string): string[] {
  const data = `data:text/javascript,${encodeURIComponent(script)}`;
  return ['env', `NODE_OPTIONS=--import=${data}`];
}

t.test('pretty log: lines of all threads, and the file of access lines', timeout, async (t) => {
  const file = `${temporaryDirectory(t)}/access.log`;
  const get = async (port: number) => (await fetch(`http://127.0.0.1:${port}/`)).text();
  for (const access of [true, { file }]) {
    const config = writeConfig(t, { format: 'pretty', access });
    const headgate = await startHeadgate(['run', '-c', config]);
    t.teardown(() => headgate.kill());
    const says = (text: string) =>
      until(
        5_000,
        text,
        () => new RegExp(`${TIME}INFO: ${text}`, 'm').test(headgate.context()),
        headgate.context,
      );
    const isWritten = () => readFileSync(file, 'utf8').endsWith('\n');
    await says('started \\{"workers":1,');
    t.equal(await get(headgate.port), 'here');
    if (access === true) {
      await says('request \\{"worker":0,.*"status":200,.*\\}$');
    } else {
      await until(5_000, 'an access line', isWritten, headgate.context);
      t.match(JSON.parse(readFileSync(file, 'utf8')), { msg: 'request', status: 200 });
      renameSync(file, `${file}.1`);
      headgate.signal('SIGUSR1');
      await says(`access log opened anew \\{"path":"${file}"\\}$`);
      await get(headgate.port);
      await until(5_000, 'an access line after that', isWritten, headgate.context);
    }
    t.same(await headgate.stop(), { code: 0, signal: null });
    t.match(headgate.context(), new RegExp(`${TIME}INFO: stopped$`, 'm'), 'to its last line');
    t.same(headgate.logs, [], 'no line of JSON among them');
    t.notOk(headgate.context().includes('\x1b'), 'without a terminal it has no colours');
  }
});

testWith(
  missingProgram(['script']),
  'pretty log: on a terminal it is that, with colours',
  timeout,
  async (t) => {
    const config = writeConfig(t, {});
    const command = `${process.execPath} ${programPath} run -c ${config}`;
    const [program, ...args] = withoutLoader(['script', '-qec', command, '/dev/null']);
    const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    t.teardown(() => child.kill('SIGKILL'));
    let seen = '';
    child.stdout!.setEncoding('utf8').on('data', (text) => {
      seen += text;
    });
    const ended = once(child, 'close');
    await until(
      10_000,
      'it listens',
      () => seen.includes('listening web'),
      () => seen,
    );
    // Control and C, as somebody who sits there would press them.
    child.stdin!.write('\x03');
    t.same(await within(8_000, 'it ends', ended, () => seen), [0, null]);
    const lines = seen.split('\r\n');
    for (const text of ['started', 'draining', 'stopped']) {
      const line = lines.find((line) => line.includes(text));
      t.match(line, new RegExp(`\\[\\d\\d:.*\\u001b\\[32mINFO\\u001b\\[39m: .*${text}`));
    }
  },
);

t.test('pretty log: what makes it is loaded for nobody else', timeout, async (t) => {
  const prefix = planting(`
    import module from 'node:module';
    process.on('exit', () => {
      const has = (name) => Object.keys(module._cache).some((file) => file.includes(name));
      console.log('pino ' + has('/pino/') + ', pretty ' + has('/pino-pretty/'));
    });
  `);
  for (const format of ['auto', 'json', 'pretty']) {
    const config = writeConfig(t, { format });
    const headgate = await startHeadgate(['run', '-c', config], { prefix });
    t.teardown(() => headgate.kill());
    await headgate.stop();
    // A line from each thread.
    t.match(headgate.context(), /^ {2}pino true,/m, format);
    t.equal(headgate.context().includes('pretty true'), format === 'pretty', format);
  }
});

t.test('pretty log: the end after a bug is in it', timeout, async (t) => {
  const prefix = planting(
    'process.on("SIGUSR2", () => setImmediate(() => { throw new Error("planted"); }))',
  );
  const config = writeConfig(t, { format: 'pretty' });
  const headgate = await startHeadgate(['run', '-c', config], { prefix });
  t.teardown(() => headgate.kill());
  headgate.signal('SIGUSR2');
  const { code } = await within(8_000, 'it ends', headgate.exit, headgate.context);
  t.equal(code, 1);
  const line = `${TIME}FATAL: the control thread has failed: ending *\n *err: \\{\n.*\n *"message": "planted"`;
  t.match(headgate.context(), new RegExp(line, 'm'));
});

t.test('pretty log: what ends the start is said all the same', timeout, async (t) => {
  const blocker = await startHeadgate(['run', '-c', writeConfig(t, {})]);
  t.teardown(() => blocker.kill());
  const { address } = blocker;
  for (const [config, problem] of [
    [
      writeConfig(t, { format: 'pretty' }, address),
      /^headgate: cannot listen on .*EADDRINUSE\)\n$/,
    ],
    [
      writeConfig(t, { format: 'prety' }),
      /^\S+headgate\.yaml:1:\d+: log\.format is "prety", .*\n$/,
    ],
  ] as const) {
    const [program, ...args] = withoutLoader([process.execPath, programPath, 'run', '-c', config]);
    const child = spawn(program!, args, { stdio: ['ignore', 'inherit', 'pipe'] });
    t.teardown(() => child.kill('SIGKILL'));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    const ended = once(child, 'close');
    t.same(await within(8_000, 'it ends', ended, () => said), [1, null]);
    t.match(said, problem);
  }
});
