import { execFileSync, spawnSync } from 'node:child_process';
import { constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { LogSink } from '#src/control/logging/log-sink.js';

const json = { level: 'info', format: 'json' } as const;

t.test('log sink: closing waits until every line is written', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'log-sink-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'log');
  const sink = new LogSink(json, openSync(file, 'w'));
  const count = 20_000;
  for (let line = 0; line < count; line++) sink.logger.info({ line }, 'a line');
  await sink.close();
  sink.logger.info('too late');
  await sink.close();
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  t.equal(lines.length, count);
  t.match(JSON.parse(lines.at(-1)!), { line: count - 1, msg: 'a line' });
});

t.test('log sink: each line that a reader did not take in time is counted', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'log-sink-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const fifo = join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const sink = new LogSink(json, openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK));
  const batch = `${'x'.repeat(1023)}\n`.repeat(1024);
  // As workers send them: a MiB at a time, of which 16 MiB may wait.
  for (let batches = 0; batches < 20; batches++) sink.writeLines(Buffer.from(batch));
  t.equal(sink.linesDropped % 1024, 0, 'a batch is lost as a whole');
  t.ok(sink.linesDropped >= 3 * 1024, `${sink.linesDropped} lines`);
  await sink.close(50);
});

t.test('log sink: pretty lines are text, whoever they come from', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'log-sink-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'log');
  const sink = new LogSink({ level: 'info', format: 'pretty' }, openSync(file, 'w'));
  sink.logger.info({ line: 1 }, 'from here');
  const lines = [
    { level: 40, time: 0, worker: 0, msg: 'from a worker' },
    { level: 50, time: 0, worker: 1, msg: 'from another' },
  ];
  sink.writeLines(Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join('')));
  await sink.close();
  const text = readFileSync(file, 'utf8').replace(/^\[[\d:.]+\] /gm, '');
  t.equal(
    text,
    'INFO: from here {"line":1}\nWARN: from a worker {"worker":0}\nERROR: from another {"worker":1}\n',
  );
});

/** Runs a script of its own, because what may hang is the exit; `makeFd` makes `fd`. */
function exits(t: Test, makeFd: string): void {
  const script = `
    import { closeSync, constants, openSync } from 'node:fs';
    import { LogSink } from '#src/control/logging/log-sink.js';
    ${makeFd}
    const sink = new LogSink({ level: 'info', format: 'json' }, fd);
    for (let line = 0; line < 5_000; line++) sink.logger.info('into the void');
    await sink.close(100);
  `;
  const args = ['--input-type=module', '--eval', script];
  const { status, stderr } = spawnSync(process.execPath, args, {
    cwd: new URL('../../../..', import.meta.url),
    timeout: 5_000,
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);
}

t.test('log sink: a descriptor that cannot be written to keeps nobody from exiting', async (t) => {
  exits(t, "const fd = openSync('/dev/null', 'w'); closeSync(fd);");
});

t.test('log sink: a reader that does not read keeps nobody from exiting', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'log-sink-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const fifo = join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  exits(t, `const fd = openSync('${fifo}', constants.O_RDWR | constants.O_NONBLOCK);`);
});
