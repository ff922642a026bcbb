import { closeSync, openSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { Taken } from '#src/proxy/capture/lane.js';
import { CAPTURES_MAX, ENTRIES, LANE_BYTES, LANE_PIPES } from '#src/proxy/capture/lane-map.js';
import { createKernel, Errno, NativeMemory } from '#src/splice/index.js';
import { ByteStream } from '#test/support/bytes.js';
import { LaneRig } from '#test/support/capture/capture-lane.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';
import { Random } from '#test/support/random.js';

const MIB = 1024 * 1024;

function memoryOf(bytes: Buffer): NativeMemory {
  const memory = new NativeMemory(bytes.length);
  bytes.copy(memory.bytes);
  return memory;
}

t.test('capture lane: what is copied and what is spliced comes out in its order', async (t) => {
  const rig = new LaneRig(t);
  const random = new Random(Random.seed());
  const streams = [new ByteStream(1), new ByteStream(2)];
  const slot = rig.worker.begin(7, 0, '{"id":"a"}', 1);
  const sent = [0, 0];
  for (let step = 0; step < 300; step++) {
    const direction = random.between(0, 1);
    const length = random.between(1, step % 3 === 0 ? 200_000 : 3_000);
    const bytes = streams[direction]!.slice(sent[direction]!, length);
    const taken = random.oneIn(2)
      ? rig.worker.copied(slot, 7, direction, memoryOf(bytes).address, length, step)
      : rig.worker.spliced(slot, 7, direction, rig.pipeWith(t, bytes), length, step);
    t.equal(taken, Taken.All, `step ${step} of seed ${random.seed}`);
    sent[direction]! += length;
    if (random.oneIn(4)) rig.takeAll();
  }
  rig.worker.end(slot, 7, 0, 0, sent[0]!, sent[1]!, 1000);
  rig.takeAll();
  for (const direction of [0, 1]) {
    const text = rig.text(slot, direction);
    t.equal(text.length, sent[direction]);
    streams[direction]!.verify(text, 0);
  }
  t.same(rig.heard.get(slot)!.end, {
    incomplete: 0,
    close: 0,
    clientBytes: sent[0],
    upstreamBytes: sent[1],
    timeMs: 1000,
  });
  t.same(rig.exceptions, []);
  t.notOk(rig.reader.isBroken);
});

t.test('capture lane: bytes without room are refused at once, all of them', async (t) => {
  const rig = new LaneRig(t);
  const slot = rig.worker.begin(1, 0, '{}', 0);
  const piece = memoryOf(new ByteStream(3).slice(0, 64 * 1024));
  let pieces = 0;
  while (rig.worker.copied(slot, 1, 0, piece.address, piece.byteLength, 0) === Taken.All) pieces++;
  t.ok(pieces >= LANE_BYTES / piece.byteLength - 1, `${pieces} pieces`);
  rig.takeAll();
  t.equal(rig.text(slot, 0).length, pieces * piece.byteLength);
  t.equal(rig.worker.copied(slot, 1, 0, piece.address, piece.byteLength, 0), Taken.All);
});

t.test('capture lane: there is always an entry left for the end of a flow', async (t) => {
  const rig = new LaneRig(t);
  const slots = Array.from({ length: 50 }, (_, at) => rig.worker.begin(at + 1, 0, '{}', 0));
  const byte = memoryOf(Buffer.from('x'));
  let entries = slots.length;
  while (rig.worker.copied(slots[0]!, 1, 0, byte.address, 1, 0) === Taken.All) entries++;
  t.ok(entries <= ENTRIES - slots.length, `${entries} entries`);
  t.equal(rig.worker.begin(99, 0, '{}', 0), -1, 'nobody else begins');
  for (const [at, slot] of slots.entries()) rig.worker.end(slot, at + 1, 1, 0, 0, 0, 0);
  rig.takeAll();
  for (const slot of slots) t.ok(rig.heard.get(slot)!.end);
});

t.test('capture lane: no more flows at a time than there are slots', async (t) => {
  const rig = new LaneRig(t);
  const begun: number[] = [];
  for (let flow = 1; flow <= CAPTURES_MAX; flow++) {
    begun.push(rig.worker.begin(flow, 0, '{}', 0));
    rig.takeAll();
  }
  t.equal(new Set(begun).size, CAPTURES_MAX);
  t.equal(rig.worker.begin(1, 0, '{}', 0), -1);
  rig.worker.end(begun[5]!, 6, 0, 0, 0, 0, 0);
  t.equal(rig.worker.begin(CAPTURES_MAX + 1, 0, '{}', 0), begun[5]);
});

t.test('capture lane: a splice that does not fit is teed into an empty pipe, whole', async (t) => {
  const rig = new LaneRig(t);
  const slot = rig.worker.begin(1, 0, '{}', 0);
  const stream = new ByteStream(4);
  // A page in each place of a pipe: two of these do not fit into one.
  const length = 640 * 1024;
  let taken = 0;
  for (;;) {
    const pipe = rig.pipeWith(t, stream.slice(taken * length, length));
    const result = rig.worker.spliced(slot, 1, 1, pipe, length, 0);
    t.equal(pipe.bytes, length, 'the pump’s pipe keeps its bytes');
    if (result !== Taken.All) {
      t.equal(result, Taken.NoRoom);
      break;
    }
    taken++;
  }
  t.equal(taken, LANE_PIPES, 'every pipe has one');
  rig.takeAll();
  t.ok(rig.discarded > 0, `${rig.discarded} bytes were teed in vain`);
  stream.verify(rig.text(slot, 1), 0);
  t.equal(rig.text(slot, 1).length, taken * length);
  const pipe = rig.pipeWith(t, stream.slice(0, length));
  t.equal(rig.worker.spliced(slot, 1, 1, pipe, length, 0), Taken.All, 'there is room again');
});

t.test('capture lane: faults of tee(2) are told apart', async (t) => {
  const libc = new ScriptedLibc();
  const rig = new LaneRig(t, createKernel(libc));
  const slot = rig.worker.begin(1, 0, '{}', 0);
  const pipe = rig.pipeWith(t, Buffer.from('hello'));
  for (const [errno, result] of [
    [Errno.EINVAL, Taken.Refused],
    [Errno.EPERM, Taken.Refused],
    [Errno.ENOMEM, Taken.Refused],
  ] as const) {
    libc.fail('tee', errno);
    t.equal(rig.worker.spliced(slot, 1, 0, pipe, 5, 0), result);
  }
  libc.fail('tee', Errno.EAGAIN);
  t.equal(rig.worker.spliced(slot, 1, 0, pipe, 5, 0), Taken.All, 'full once: another pipe');
  libc.script('tee', (args, real) => real(args[0]!, args[1]!, 2, args[3]!));
  t.equal(rig.worker.spliced(slot, 1, 0, pipe, 5, 0), Taken.NoRoom, 'short for ever');
  libc.script('tee');
  t.equal(rig.worker.spliced(slot, 1, 0, pipe, 5, 0), Taken.All);
  rig.takeAll();
  t.equal(rig.text(slot, 0).toString(), 'hellohello');
  t.equal(rig.discarded, 4);
  t.notOk(rig.reader.isBroken);
});

t.test('capture lane: a part of a file is taken by reference', async (t) => {
  const rig = new LaneRig(t);
  const slot = rig.worker.begin(1, 0, '{}', 0);
  const stream = new ByteStream(5);
  const path = `${temporaryDirectory(t)}/file`;
  writeFileSync(path, stream.slice(0, 3 * MIB));
  const fd = openSync(path, 'r');
  t.teardown(() => closeSync(fd));
  t.equal(rig.worker.sent(slot, 1, 1, fd, 1000, 2 * MIB, 0), Taken.All);
  rig.takeAll();
  stream.verify(rig.text(slot, 1), 1000);
  t.equal(rig.text(slot, 1).length, 2 * MIB);
  t.equal(
    rig.worker.sent(slot, 1, 1, fd, 3 * MIB, 1, 0),
    Taken.Refused,
    'the file has become shorter',
  );
  let taken = 0;
  while (rig.worker.sent(slot, 1, 1, fd, 0, MIB, 0) === Taken.All) taken++;
  t.equal(taken, LANE_PIPES);
});

t.test('capture lane: an exception in one entry leaves the next in step', async (t) => {
  const rig = new LaneRig(t);
  const slot = rig.worker.begin(1, 0, '{}', 0);
  const spliced = rig.spliced.bind(rig);
  rig.spliced = () => {
    rig.spliced = spliced;
    throw new Error('a bug');
  };
  for (const word of ['lost!', 'found']) {
    rig.worker.spliced(slot, 1, 0, rig.pipeWith(t, Buffer.from(word)), 5, 0);
  }
  rig.takeAll();
  t.equal(rig.exceptions.length, 1);
  t.equal(rig.text(slot, 0).toString(), 'found');
  t.notOk(rig.reader.isBroken);
});

t.test('capture lane: pipes that lack what entries say are noticed', async (t) => {
  const rig = new LaneRig(t);
  const slot = rig.worker.begin(1, 0, '{}', 0);
  rig.worker.spliced(slot, 1, 0, rig.pipeWith(t, Buffer.from('hello')), 5, 0);
  // Somebody else has been at the pipe.
  rig.spliced = (_slot, _direction, pipe) => {
    createKernel().read(pipe.readEnd, memoryOf(Buffer.alloc(5)).address, 5);
  };
  rig.takeAll();
  t.ok(rig.reader.isBroken);
});

t.test('capture lane: its pipes are opened and closed, and nothing else', async (t) => {
  const before = descriptors();
  const rig = new LaneRig(t);
  t.equal(descriptors().pipe, (before.pipe ?? 0) + 2 * LANE_PIPES);
  t.ok(rig.worker.isOpen);
  rig.lane.giveUp();
  t.notOk(rig.worker.isOpen);
  rig.lane.close();
  rig.lane.close();
  t.same(descriptors(), before);
});

t.test('capture lane: without pipes what is copied goes on', async (t) => {
  const before = descriptors();
  const libc = new ScriptedLibc({ pipe2: () => -Errno.EMFILE });
  const none = new LaneRig(t, createKernel(), createKernel(libc));
  t.same(descriptors(), before);
  const slot = none.worker.begin(1, 0, '{}', 0);
  const word = memoryOf(Buffer.from('hello'));
  t.equal(none.worker.copied(slot, 1, 0, word.address, 5, 0), Taken.All);
  const pipe = none.pipeWith(t, Buffer.from('hello'));
  t.equal(none.worker.spliced(slot, 1, 0, pipe, 5, 0), Taken.NoRoom);
  none.takeAll();
  t.equal(none.text(slot, 0).toString(), 'hello');
});

t.test('capture lane: pipes of one page are not used, two pipes are', async (t) => {
  const small = new ScriptedLibc({ fcntl: (args, real) => real(args[0]!, args[1]!, 4096) });
  const one = new LaneRig(t, createKernel(), createKernel(small));
  const slot = one.worker.begin(1, 0, '{}', 0);
  t.equal(one.worker.spliced(slot, 1, 0, one.pipeWith(t, Buffer.from('a')), 1, 0), Taken.NoRoom);
  const libc = new ScriptedLibc();
  libc.script('pipe2', (args, real) => (libc.count('pipe2') < 2 ? real(...args) : -Errno.EMFILE));
  const two = new LaneRig(t, createKernel(), createKernel(libc));
  const other = two.worker.begin(1, 0, '{}', 0);
  const stream = new ByteStream(1);
  let taken = 0;
  const next = () => two.pipeWith(t, stream.slice(taken * 700_000, 700_000));
  while (two.worker.spliced(other, 1, 0, next(), 700_000, 0) === Taken.All) taken++;
  t.equal(taken, 2);
  two.takeAll();
  stream.verify(two.text(other, 0), 0);
});
