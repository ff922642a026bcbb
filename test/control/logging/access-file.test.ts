import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { loadConfig } from '#src/config/index.js';
import { AccessFile } from '#src/control/logging/access-file.js';
import { LogSink } from '#src/control/logging/log-sink.js';
import { Supervisor } from '#src/control/supervisor.js';
import { until } from '#test/support/deadline.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 15_000 };
/** See access-file.ts. */
const UNWRITTEN_BYTES_MAX = 16 * 1024 * 1024;

class FileRig {
  readonly directory: string;
  readonly path: string;
  readonly messages: { readonly level: number; readonly msg: string; readonly code?: string }[] =
    [];
  readonly file: AccessFile;

  constructor(t: Test) {
    this.directory = temporaryDirectory(t);
    this.path = `${this.directory}/access.log`;
    const logger = pino({ base: null }, { write: (line) => this.messages.push(JSON.parse(line)) });
    this.file = new AccessFile(logger);
    t.teardown(() => this.file.close());
  }

  use(path = this.path): void {
    this.file.use(this.file.open(path));
  }

  lines(path = this.path): string[] {
    return readFileSync(path, 'utf8').split('\n').slice(0, -1);
  }
}

/** Numbered lines of 100 bytes. */
function numbered(from: number, to: number): Buffer {
  let text = '';
  for (let line = from; line < to; line++) text += `${String(line).padStart(99, '.')}\n`;
  return Buffer.from(text);
}

function numbersOf(text: string): number[] {
  return text
    .split('\n')
    .filter((line) => line.length === 99)
    .map((line) => Number(line.replace(/^\.*/, '')));
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

/** A FIFO and somebody who has it open, and reads when told to. */
function fifo(t: Test, path: string) {
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  t.teardown(() => closeSync(fd));
  const bytes = Buffer.alloc(1024 * 1024);
  return (): string => {
    try {
      return bytes.toString('latin1', 0, readSync(fd, bytes));
    } catch {
      return '';
    }
  };
}

t.test('access file: lines are appended, for their owner and group alone', timeout, async (t) => {
  const rig = new FileRig(t);
  rig.use();
  t.equal(statSync(rig.path).mode & 0o777, 0o640);
  rig.file.write(numbered(0, 1000));
  rig.file.write(numbered(1000, 1001));
  await rig.file.close();
  t.strictSame(numbersOf(readFileSync(rig.path, 'latin1')), upTo(1001));
  const again = new AccessFile(pino({ level: 'silent' }));
  again.use(again.open(rig.path));
  again.write(Buffer.from('more\n'));
  await again.close();
  t.equal(rig.lines().length, 1002);
  t.equal(again.linesLost, 0);
});

t.test(
  'access file: what is moved away keeps its lines, and the name gets those that come',
  timeout,
  async (t) => {
    const rig = new FileRig(t);
    rig.use();
    rig.file.write(Buffer.from('before\n'));
    await until(3_000, 'it is written', () => rig.lines().length === 1);
    renameSync(rig.path, `${rig.path}.1`);
    rig.file.write(Buffer.from('between\n'));
    await until(3_000, 'it is written', () => rig.lines(`${rig.path}.1`).length === 2);
    rig.file.reopen();
    rig.file.write(Buffer.from('after\n'));
    await rig.file.close();
    t.strictSame(rig.lines(`${rig.path}.1`), ['before', 'between']);
    t.strictSame(rig.lines(), ['after']);
  },
);

t.test(
  'access file: a name that cannot be opened again leaves the open file in use',
  timeout,
  async (t) => {
    const rig = new FileRig(t);
    const inner = `${rig.directory}/there`;
    execFileSync('mkdir', [inner]);
    rig.use(`${inner}/access.log`);
    renameSync(inner, `${inner}-no-more`);
    rig.file.reopen();
    t.equal(rig.file.errors, 1);
    t.match(rig.messages.at(-1), { level: 40, msg: /not opened anew/ });
    rig.file.write(Buffer.from('still\n'));
    await rig.file.close();
    t.strictSame(rig.lines(`${inner}-no-more/access.log`), ['still']);
  },
);

t.test(
  'access file: a full disk is told once, and loses no line until it has room',
  timeout,
  async (t) => {
    const rig = new FileRig(t);
    symlinkSync('/dev/full', rig.path);
    rig.use();
    for (let line = 0; line < 50; line++) rig.file.write(numbered(line, line + 1));
    await until(3_000, 'it is tried again', () => rig.file.errors >= 3);
    t.equal(rig.messages.length, 1, 'one warning');
    t.match(rig.messages[0], { level: 40, code: 'ENOSPC' });
    rmSync(rig.path);
    rig.file.reopen();
    await until(3_000, 'they are written', () => rig.lines().length === 50);
    t.strictSame(numbersOf(readFileSync(rig.path, 'latin1')), upTo(50));
    t.equal(rig.file.linesLost, 0);
    // The lines are in the file before the file's own thread says so.
    const last = () => rig.messages.at(-1);
    await until(3_000, 'it is told', () => /written again/.test(String(last()?.msg)));
    t.match(last(), { level: 30 });
    // Room now and then, and none in between: that is one disk that is full.
    for (let round = 1; round <= 3; round++) {
      renameSync(rig.path, `${rig.path}.${round}`);
      symlinkSync('/dev/full', rig.path);
      rig.file.reopen();
      const { errors } = rig.file;
      rig.file.write(numbered(round, round + 1));
      await until(3_000, 'it is tried', () => rig.file.errors > errors);
      rmSync(rig.path);
      rig.file.reopen();
      await until(3_000, 'it is written', () => rig.lines().length === 1);
    }
    t.equal(rig.messages.filter(({ level }) => level === 40).length, 1, 'still one warning');
  },
);

t.test('access file: what a full disk does not take in the end is counted', timeout, async (t) => {
  const rig = new FileRig(t);
  symlinkSync('/dev/full', rig.path);
  rig.use();
  rig.file.write(numbered(0, 7));
  rig.file.write(numbered(7, 9));
  await rig.file.close(100);
  t.equal(rig.file.linesLost, 9);
});

t.test(
  'access file: a reader that is slow costs lines, never memory or time',
  timeout,
  async (t) => {
    const rig = new FileRig(t);
    const read = fifo(t, rig.path);
    rig.use();
    const piece = numbered(0, 1000);
    const pieces = Math.ceil(UNWRITTEN_BYTES_MAX / piece.length) + 10;
    for (let count = 0; count < pieces; count++) rig.file.write(piece);
    t.ok(rig.file.linesLost >= 10_000, `${rig.file.linesLost} lines are given up`);
    const expected = (pieces * 1000 - rig.file.linesLost) * 100;
    let bytes = 0;
    await until(10_000, 'the reader has the rest', () => {
      for (let text = read(); text !== ''; text = read()) bytes += text.length;
      return bytes >= expected;
    });
    t.equal(bytes, expected, 'and all others have come');
    t.equal(rig.file.errors, 0);
  },
);

t.test(
  'access file: a line that was begun in one file is whole in the next',
  timeout,
  async (t) => {
    const rig = new FileRig(t);
    const read = fifo(t, rig.path);
    rig.use();
    rig.file.write(numbered(0, 2000));
    let first = '';
    await until(3_000, 'the pipe is full', () => {
      first += read();
      return first.length > 0;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const second = `${rig.directory}/second.log`;
    rig.use(second);
    await rig.file.close();
    for (let text = read(); text !== ''; text = read()) first += text;
    const numbers = [...numbersOf(first), ...numbersOf(readFileSync(second, 'latin1'))];
    t.strictSame([...new Set(numbers)], upTo(2000), 'every line, in order');
    t.ok(numbersOf(readFileSync(second, 'latin1')).length > 0);
    t.equal(readFileSync(second).length % 100, 0, 'none of them cut');
    t.equal(rig.file.linesLost, 0);
  },
);

t.test(
  'access file: a line that was begun goes on in the same file, opened anew',
  timeout,
  async (t) => {
    const rig = new FileRig(t);
    const read = fifo(t, rig.path);
    rig.use();
    const lines = numbered(0, 3000);
    rig.file.write(lines);
    let text = '';
    await until(10_000, 'all are read', () => {
      // The pipe is full by now, within a line.
      rig.file.reopen();
      text += read();
      return text.length >= lines.length;
    });
    t.ok(text === lines.toString(), 'each line once, and whole');
    t.equal(rig.file.linesLost, 0);
  },
);

t.test('access file: a reload that ends it loses no line', timeout, async (t) => {
  const directory = temporaryDirectory(t);
  const path = `${directory}/access.log`;
  const read = fifo(t, path);
  const configOf = (access: unknown) => {
    const loaded = loadConfig(`
      workers: 1
      log: { access: ${JSON.stringify(access)}, format: json }
      listeners: { a: { bind: "127.0.0.1:0", tcp: { upstream: u } } }
      upstreams: { u: { endpoints: ["127.0.0.1:9"] } }
    `);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    return loaded.config;
  };
  const config = configOf({ file: path });
  const sink = new LogSink(config.log, openSync(`${directory}/log`, 'w'));
  const supervisor = await Supervisor.start(config, { sink });
  t.teardown(() => supervisor.close().catch(() => {}));
  // Twice what a pipe holds: its reader goes on when the reload waits for that.
  sink.access.write(numbered(0, 1300));
  const reloaded = supervisor.reload(configOf(true));
  let text = '';
  await until(5000, 'all are read', () => {
    text += read();
    return text.length === 130_000;
  });
  t.ok((await reloaded).ok);
  t.same(numbersOf(text), upTo(1300));
  t.equal(sink.access.linesLost, 0);
});

t.test('access file: what cannot be opened is said with its name', timeout, async (t) => {
  const rig = new FileRig(t);
  t.throws(() => rig.file.open(rig.directory), { message: /log\.access\.file: \/.* EISDIR$/ });
  execFileSync('mkfifo', [rig.path]);
  t.throws(() => rig.file.open(rig.path), { message: /ENXIO$/ }, 'a pipe that nobody reads');
});
