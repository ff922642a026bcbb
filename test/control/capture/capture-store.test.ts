import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import t, { type Test } from 'tap';
import { processName } from '#src/control/capture/capture-files.js';
import { CaptureStore, type StoreLimits } from '#src/control/capture/capture-store.js';
import { DiskWriter } from '#src/control/capture/disk-writer.js';
import { type BeginNote, FlowWriter } from '#src/control/capture/flow-writer.js';
import { chunksOf, listCaptures, pcapngBytes, readCapture } from '#src/control/index.js';
import { Errno, NativeMemory } from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';
import { Random } from '#test/support/random.js';

const MIB = 1024 * 1024;
const bytes = new NativeMemory(MIB);
const limitsOf = (limits: Partial<StoreLimits>): StoreLimits => ({
  maxTotalBytes: 100 * MIB,
  maxAgeMs: null,
  maxFlows: null,
  ...limits,
});

class StoreRig {
  readonly directory: string;
  readonly live = new Set<string>();
  store: CaptureStore;

  constructor(
    t: Test,
    limits: Partial<StoreLimits> = {},
    readonly writer = new DiskWriter(),
  ) {
    this.directory = `${temporaryDirectory(t)}/captures`;
    this.store = this.open(limits);
    t.teardown(() => this.writer.files.closeAll());
  }

  open(limits: Partial<StoreLimits>): CaptureStore {
    const store = new CaptureStore(this.directory, limitsOf(limits), this.writer);
    store.open((id) => this.live.has(id));
    return store;
  }

  begin(id: string, process = processName()!): FlowWriter {
    const note: BeginNote = {
      id,
      listener: 'a',
      protocol: 'tcp',
      client: '192.0.2.1:1000',
      local: '192.0.2.2:80',
      directions: 'both',
      start: new Date().toISOString(),
    };
    const flow = new FlowWriter(this.writer, this.store, note, 0);
    this.live.add(id);
    flow.begin(process);
    return flow;
  }

  write(flow: FlowWriter, length: number, timeMs = 1): void {
    for (let left = length; left > 0; left -= MIB) {
      flow.copied(true, bytes.address, Math.min(left, MIB), timeMs);
    }
  }

  end(flow: FlowWriter): void {
    flow.end({ client_bytes: 0, upstream_bytes: 0 }, 2);
    this.live.delete(flow.id);
  }

  /** A whole flow. */
  flow(id: string, length: number): FlowWriter {
    const flow = this.begin(id);
    this.write(flow, length);
    this.end(flow);
    return flow;
  }

  ids(): string[] {
    return listCaptures(this.directory).map(({ head }) => head.id);
  }

  /** As du(1) counts them, the directory itself apart. */
  onDisk(): number {
    return readdirSync(this.directory)
      .map((name) => Math.ceil(statSync(`${this.directory}/${name}`).size / 4096) * 4096)
      .reduce((sum, size) => sum + size, 0);
  }
}

t.test('capture store: never more than max_total, the oldest go first', async (t) => {
  const rig = new StoreRig(t, { maxTotalBytes: 10 * MIB });
  const random = new Random(Random.seed());
  for (let flow = 0; flow < 100; flow++) {
    const writer = rig.begin(`a-${flow}`);
    for (let piece = 0; piece < 3; piece++) {
      rig.write(writer, random.between(1, MIB));
      t.ok(rig.onDisk() <= 10 * MIB, `${rig.onDisk()} bytes, seed ${random.seed}`);
      t.ok(rig.store.totalBytes <= 10 * MIB);
    }
    t.equal(writer.incomplete, 'none');
    rig.end(writer);
  }
  const ids = rig.ids();
  t.ok(ids.length >= 3 && ids.length < 100, `${ids.length} are left`);
  t.same(
    ids.sort((one, other) => Number(one.slice(2)) - Number(other.slice(2))),
    Array.from({ length: ids.length }, (_, at) => `a-${100 - ids.length + at}`),
    'the last ones, without a gap',
  );
  t.equal(rig.store.deleted, 100 - ids.length);
});

t.test('capture store: who is being captured is not deleted, and is cut when alone', async (t) => {
  const rig = new StoreRig(t, { maxTotalBytes: 4 * MIB });
  const first = rig.begin('a-1');
  rig.write(first, MIB);
  for (let flow = 2; flow < 20; flow++) rig.flow(`a-${flow}`, MIB);
  t.equal(first.incomplete, 'none');
  t.ok(rig.ids().includes('a-1'));
  rig.write(first, 10 * MIB);
  t.equal(first.incomplete, 'no_room');
  rig.end(first);
  t.same(rig.ids(), ['a-1'], 'all others had to go');
  const capture = readCapture(rig.directory, 'a-1')!;
  t.equal(capture.end!.incomplete, 'no_room');
  t.ok(capture.clientBytes >= 3 * MIB);
  t.ok(rig.onDisk() <= 4 * MIB);
  rig.flow('a-30', MIB);
  t.same(rig.ids(), ['a-30']);
});

t.test('capture store: max_flows and max_age', async (t) => {
  const rig = new StoreRig(t, { maxFlows: 3 });
  for (let flow = 0; flow < 5; flow++) rig.flow(`a-${flow}`, 10);
  t.same(rig.ids().sort(), ['a-2', 'a-3', 'a-4']);
  const open = rig.begin('a-5');
  rig.store.limits = limitsOf({ maxAgeMs: 0 });
  await new Promise((resolve) => setTimeout(resolve, 5));
  rig.store.tidy();
  t.same(rig.ids(), ['a-5']);
  rig.end(open);
  rig.store.limits = limitsOf({ maxFlows: 1 });
  rig.flow('a-6', 10);
  t.same(rig.ids(), ['a-6']);
});

t.test('capture store: what a killed process has left is given an end, and counts', async (t) => {
  const rig = new StoreRig(t);
  const killed = rig.begin('a-1', '999999999-1');
  rig.write(killed, 3 * MIB, 7);
  killed.flush();
  // In the middle of a line, and bytes no line knows of.
  appendFileSync(`${rig.directory}/a-1.jsonl`, '["c",80');
  appendFileSync(`${rig.directory}/a-1.client`, 'more');
  const before = readCapture(rig.directory, 'a-1')!;
  t.equal(before.state, 'incomplete');
  t.equal(before.end, undefined);
  t.same(
    [...chunksOf(before)].map(({ bytes }) => bytes),
    [MIB, MIB, MIB, 4],
  );
  rig.live.clear();
  rig.writer.files.closeAll();
  const descriptors = readdirSync('/proc/self/fd').length;
  const store = rig.open({});
  t.equal(readdirSync('/proc/self/fd').length, descriptors, 'the record is closed again');
  const after = readCapture(rig.directory, 'a-1')!;
  t.match(after.end, { incomplete: 'interrupted', client_bytes: 3 * MIB + 4, duration_us: 7000 });
  t.equal(store.totalBytes, rig.onDisk());
  t.equal(store.size, 1);
});

t.test('capture store: what another process is capturing is left alone', async (t) => {
  const rig = new StoreRig(t);
  const theirs = rig.begin('b-1', processName(process.ppid));
  rig.write(theirs, MIB);
  theirs.flush();
  rig.live.clear();
  const store = rig.open({ maxTotalBytes: MIB });
  store.tidy();
  t.equal(readCapture(rig.directory, 'b-1')!.state, 'open');
  t.equal(store.size, 1, 'and counts');
});

t.test('capture store: a flow that was half deleted goes', async (t) => {
  const rig = new StoreRig(t);
  rig.flow('a-1', 100);
  writeFileSync(`${rig.directory}/a-0.client`, 'left over');
  writeFileSync(`${rig.directory}/notes.txt`, 'not ours');
  mkdirSync(`${rig.directory}/deeper`);
  const store = rig.open({});
  t.notOk(existsSync(`${rig.directory}/a-0.client`));
  t.ok(existsSync(`${rig.directory}/notes.txt`));
  t.ok(existsSync(`${rig.directory}/deeper`));
  t.equal(store.size, 1);
});

t.test('capture store: records that are none harm nobody else', async (t) => {
  const rig = new StoreRig(t);
  rig.flow('a-1', 100);
  const [head, , end] = readFileSync(`${rig.directory}/a-1.jsonl`, 'utf8').split('\n') as string[];
  const known = { ...JSON.parse(head!), id: 'b-1' };
  const heads = {
    empty: '',
    text: 'no JSON\n',
    null: 'null\n',
    number: '5\n',
    end: `${end}\n`,
    cut: JSON.stringify(known),
    ...Object.fromEntries(
      ['format', 'process', 'client', 'local', 'listener', 'protocol', 'start'].map((name) => [
        `without ${name}`,
        `${JSON.stringify({ ...known, [name]: undefined })}\n`,
      ]),
    ),
    'a later format': `${JSON.stringify({ ...known, format: 2 })}\n`,
    'no time': `${JSON.stringify({ ...known, start: 'yesterday' })}\n`,
    'the id of another': `${JSON.stringify({ ...known, id: 'a-1' })}\n`,
    'no id': `${JSON.stringify({ ...known, id: '../b-1' })}\n`,
  };
  for (const [name, text] of Object.entries(heads)) {
    writeFileSync(`${rig.directory}/b-1.jsonl`, text);
    rig.store = rig.open({});
    t.same(rig.ids(), ['a-1'], name);
    t.equal(readCapture(rig.directory, 'b-1'), undefined, name);
    t.equal(readFileSync(`${rig.directory}/b-1.jsonl`, 'utf8'), text, `${name}: nothing is added`);
  }
  unlinkSync(`${rig.directory}/b-1.jsonl`);
  mkdirSync(`${rig.directory}/b-1.jsonl`);
  rig.store = rig.open({});
  t.same(rig.ids(), ['a-1'], 'a directory');
  rig.store.limits = limitsOf({ maxFlows: 1 });
  t.equal(rig.flow('a-2', 10).incomplete, 'none');
});

t.test('capture store: an end that is none is no end', async (t) => {
  const rig = new StoreRig(t);
  for (const [at, line] of [
    '{"end":5}',
    '{"end":"x"}',
    '{"end":"2026-01-01T00:00:00Z"}',
  ].entries()) {
    const flow = rig.begin(`a-${at}`, '999999999-1');
    flow.flush();
    appendFileSync(`${rig.directory}/a-${at}.jsonl`, `${line}\n`);
    t.equal(readCapture(rig.directory, `a-${at}`)!.end, undefined, line);
  }
  rig.live.clear();
  rig.writer.files.closeAll();
  rig.open({});
  for (const { end } of listCaptures(rig.directory)) t.equal(end!.incomplete, 'interrupted');
});

t.test(
  'capture store: what a loss of power has left in a record goes, whatever it is',
  async (t) => {
    for (const rest of [Buffer.alloc(100_000), Buffer.alloc(3000, 0xff), Buffer.from('["c",80')]) {
      const rig = new StoreRig(t);
      const killed = rig.begin('a-1', '999999999-1');
      rig.write(killed, MIB, 7);
      killed.flush();
      const path = `${rig.directory}/a-1.jsonl`;
      const whole = readFileSync(path, 'utf8');
      appendFileSync(path, rest);
      t.match(readCapture(rig.directory, 'a-1'), { wholeBytes: whole.length, lastUs: 7000 });
      rig.live.clear();
      rig.writer.files.closeAll();
      rig.open({});
      t.ok(readFileSync(path, 'latin1').startsWith(`${whole}{"end":"`));
      t.match(readCapture(rig.directory, 'a-1')!.end, { client_bytes: MIB, duration_us: 7000 });
    }
  },
);

t.test('capture store: what another process begins while names are read stays', async (t) => {
  const rig = new StoreRig(t);
  rig.flow('a-1', 100);
  writeFileSync(`${rig.directory}/b-1.client`, 'theirs');
  const store = rig.open({});
  t.notOk(existsSync(`${rig.directory}/b-1.client`), 'left over');
  writeFileSync(`${rig.directory}/b-1.client`, 'theirs');
  // Asked for the flow whose record it has found: the names have been read by then.
  store.scan(() => {
    writeFileSync(`${rig.directory}/b-1.jsonl`, 'theirs');
    return false;
  });
  t.ok(existsSync(`${rig.directory}/b-1.client`));
  t.ok(existsSync(`${rig.directory}/b-1.jsonl`));
});

t.test('capture store: a directory may have two names', async (t) => {
  const rig = new StoreRig(t);
  const other = `${rig.directory}/../other`;
  symlinkSync(rig.directory, other);
  const flow = rig.begin('a-1');
  rig.write(flow, MIB);
  flow.flush();
  const store = new CaptureStore(other, limitsOf({}), rig.writer);
  store.open((id) => rig.live.has(id));
  t.equal(store.size, 1);
  const second = new FlowWriter(rig.writer, store, { ...flow.note, id: 'a-2' }, 0);
  rig.live.add('a-2');
  second.begin(processName()!);
  rig.store.scan((id) => rig.live.has(id));
  t.equal(rig.store.size, 2, 'what is captured by the other name counts');
  rig.write(flow, MIB);
  rig.write(second, MIB);
  rig.end(flow);
  rig.end(second);
  t.same(
    listCaptures(other).map(({ state, clientBytes }) => [state, clientBytes]),
    [
      ['complete', 2 * MIB],
      ['complete', MIB],
    ],
  );
});

t.test('capture store: what others delete and write is noticed', async (t) => {
  const rig = new StoreRig(t);
  rig.flow('a-1', MIB);
  const open = rig.begin('a-2');
  rig.write(open, MIB);
  rig.store.scan((id) => rig.live.has(id));
  const { totalBytes } = rig.store;
  t.equal(totalBytes, 2 * MIB + 3 * 4096, 'a flow that goes on keeps room for its third file');
  rig.store.scan((id) => rig.live.has(id));
  t.equal(rig.store.totalBytes, totalBytes, 'nothing has changed');
  writeFileSync(`${rig.directory}/b-1.jsonl`, readFileSync(`${rig.directory}/a-1.jsonl`));
  utimesSync(`${rig.directory}/b-1.jsonl`, 1, 1);
  rig.store.scan((id) => rig.live.has(id));
  t.equal(rig.store.totalBytes, totalBytes + 4096);
  rig.write(open, MIB);
  t.equal(open.incomplete, 'none');
});

t.test('capture store: a file that is there already is not written to', async (t) => {
  const rig = new StoreRig(t);
  const target = `${rig.directory}/../secret`;
  writeFileSync(target, 'secret');
  symlinkSync(target, `${rig.directory}/a-1.client`);
  const flow = rig.begin('a-1');
  rig.write(flow, 10);
  t.equal(flow.incomplete, 'directory');
  rig.end(flow);
  t.equal(readFileSync(target, 'utf8'), 'secret');
});

t.test('capture store: what a clock before 1970 has written can be exported', async (t) => {
  const rig = new StoreRig(t);
  rig.flow('a-1', 100);
  const path = `${rig.directory}/a-1.jsonl`;
  const record = readFileSync(path, 'utf8').replace(/"start":"\d{4}/, '"start":"1969');
  writeFileSync(path, record);
  const capture = readCapture(rig.directory, 'a-1')!;
  t.match(capture.head.start, /^1969/);
  const file = Buffer.concat([...pcapngBytes(capture, ['client', 'upstream'])]);
  t.ok(file.includes(readFileSync(`${rig.directory}/a-1.client`)));
});

t.test('capture store: directories are made, and what cannot be made is an error', async (t) => {
  const home = temporaryDirectory(t);
  const open = (directory: string) =>
    new CaptureStore(directory, limitsOf({}), new DiskWriter()).open(() => false);
  open(`${home}/a/b/c`);
  t.equal(statSync(`${home}/a`).mode & 0o777, 0o700);
  open(`${home}/a/b/c`);
  symlinkSync(`${home}/a`, `${home}/link`);
  open(`${home}/link/d/`);
  t.ok(existsSync(`${home}/a/d`));
  writeFileSync(`${home}/file`, '');
  symlinkSync(`${home}/gone`, `${home}/dangling`);
  t.throws(() => open(`${home}/file`), { code: 'EEXIST' });
  t.throws(() => open(`${home}/file/a/b`), { code: 'ENOTDIR' });
  t.throws(() => open(`${home}/dangling/a`), Error);
  // mkdir(2) says ENOENT there, for ever.
  t.throws(() => open('/proc/captures/a'), { code: 'ENOENT' });
});

t.test('capture store: a flow whose files somebody deletes goes on', async (t) => {
  const rig = new StoreRig(t);
  const flow = rig.begin('a-1');
  rig.write(flow, 10);
  flow.flush();
  for (const name of readdirSync(rig.directory)) unlinkSync(`${rig.directory}/${name}`);
  rig.store.scan((id) => rig.live.has(id));
  rig.write(flow, MIB);
  t.equal(flow.incomplete, 'none');
  rig.end(flow);
  t.equal(rig.store.size, 1);
  rig.store.scan((id) => rig.live.has(id));
  t.equal(rig.store.size, 0, 'then it is gone');
  t.equal(rig.store.totalBytes, 0);
});

t.test('capture store: on a full disk nothing gathers', async (t) => {
  const libc = new ScriptedLibc();
  const rig = new StoreRig(t, {}, new DiskWriter(libc));
  const ENOSPC = 28;
  const before = readdirSync('/proc/self/fd').length;
  for (let at = 0; at < 50; at++) {
    libc.fail('pwrite', ENOSPC);
    const flow = rig.begin(`a-${at}`);
    t.equal(flow.incomplete, 'disk_full');
    t.ok(flow.end({ client_bytes: 0, upstream_bytes: 0 }, 2), 'there is nothing to try again');
  }
  t.same(readdirSync(rig.directory), [], 'no empty files');
  t.equal(rig.store.size, 0);
  t.equal(rig.store.totalBytes, 0);
  t.equal(readdirSync('/proc/self/fd').length, before, 'nor descriptors');
  const flow = rig.flow('a-100', 100);
  t.equal(flow.incomplete, 'none', 'there is room again');
});

t.test('capture store: many flows at a time have few files open', async (t) => {
  const rig = new StoreRig(t);
  const flows = Array.from({ length: 500 }, (_, at) => rig.begin(`a-${at}`));
  for (const flow of flows) rig.write(flow, 100);
  const open = readdirSync('/proc/self/fd').length;
  t.ok(open < 320, `${open} descriptors`);
  for (const flow of flows) rig.write(flow, 100, 5);
  for (const flow of flows) rig.end(flow);
  const captures = listCaptures(rig.directory);
  t.equal(captures.length, 500);
  for (const { state, clientBytes } of captures) t.same([state, clientBytes], ['complete', 200]);
});

t.test('capture store: after a write that failed nothing more is written', async (t) => {
  const libc = new ScriptedLibc();
  const rig = new StoreRig(t, {}, new DiskWriter(libc));
  const flow = rig.begin('a-1');
  const piece = new NativeMemory(7000);
  const put = (isClient: boolean, letter: string) => {
    piece.bytes.fill(letter);
    flow.copied(isClient, piece.address, piece.byteLength, 1);
  };
  put(true, 'a');
  flow.settle();
  libc.fail('pwrite', Errno.EIO);
  for (const letter of 'bcdefgh') {
    put(true, letter);
    put(false, letter);
  }
  flow.settle();
  t.equal(flow.incomplete, 'disk_error');
  rig.end(flow);
  const whole = (kind: string) => readFileSync(`${rig.directory}/a-1.${kind}`, 'latin1');
  t.equal(whole('client'), 'a'.repeat(7000), 'a beginning, without what came later');
  t.ok('b'.repeat(7000).concat('c'.repeat(7000)).startsWith(whole('upstream')));
});
