// What a batch of calls does, whoever makes them: one suite over both.
import type { Test } from 'tap';
import {
  type CallBatch,
  createKernel,
  Errno,
  type Kernel,
  NativeMemory,
  RingBatch,
  SerialBatch,
  Splice,
} from '#src/splice/index.js';
import { missingIoUring, testWith } from '#test/support/machine/capability.js';
import { ringMappings } from '#test/support/machine/proc.js';
import { payload } from '#test/support/random.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

const CAPACITY = 8;

/** A batch, and what its observer was told. */
interface Bench {
  readonly batch: CallBatch;
  /** Of calls that failed: `recv 104`. */
  readonly failures: string[];
  /** Descriptors that were closed, as it was told. */
  readonly closings: number[];
}

type Opener = (
  kernel: Kernel,
  onFailure: (call: string, errno: number) => void,
  onClosing: (fd: number) => void,
) => CallBatch;

const openers: Readonly<Record<string, Opener>> = {
  serial(kernel, _, onClosing) {
    const close = (fd: number): number => {
      onClosing(fd);
      return kernel.close(fd);
    };
    return new SerialBatch({ ...kernel, close }, CAPACITY);
  },
  ring(kernel, onFailure, onClosing) {
    const batch = RingBatch.open(kernel, CAPACITY, onFailure, onClosing);
    if (typeof batch === 'number') throw new Error(`no ring: ${batch}`);
    return batch;
  },
};

/** A test of every kind of batch. */
function eachBatch(name: string, body: (t: Test, kit: SocketKit, bench: Bench) => void): void {
  for (const [kind, open] of Object.entries(openers)) {
    const title = `call batch: ${name} (${kind})`;
    const missing = kind === 'ring' ? missingIoUring() : undefined;
    if (missing !== undefined) {
      testWith(missing, title, { timeout: 1000 }, async () => {});
      continue;
    }
    socketTest(title, async (t, kit) => {
      const failures: string[] = [];
      const onFailure = (call: string, errno: number): void => {
        failures.push(`${call} ${errno}`);
      };
      const before = ringMappings();
      const closings: number[] = [];
      const onClosing = (fd: number): void => void closings.push(fd);
      const batch = open(createKernel(undefined, onFailure), onFailure, onClosing);
      closings.length = 0;
      body(t, kit, { batch, failures, closings });
      batch.close();
      t.equal(ringMappings(), before, 'nothing stays mapped');
    });
  }
}

function memoryOf(bytes: Buffer | string): NativeMemory {
  return NativeMemory.copyOf(Buffer.from(bytes));
}

eachBatch('each call has its answer, by its number', (t, kit, { batch, failures }) => {
  const pairs = [kit.pair(), kit.pair(), kit.pair('unix'), kit.pair('inet6')];
  const buffers = pairs.map(() => new NativeMemory(5000));
  pairs.forEach(({ far }, index) => {
    far.send(payload(index, 1000 + index));
  });
  t.same([batch.size, batch.capacity], [0, CAPACITY]);
  const reads = pairs.map(({ near }, index) =>
    batch.recv(near, buffers[index]!.address, index === 1 ? 10 : 5000),
  );
  t.same(reads, [0, 1, 2, 3]);
  t.equal(batch.size, 4);
  t.equal(batch.run(), 4);
  t.equal(batch.size, 0);
  const results = reads.map((call) => batch.resultOf(call));
  t.same(results, [1000, 10, 1002, 1003]);
  results.forEach((bytes, index) => {
    t.ok(buffers[index]!.bytes.subarray(0, bytes).equals(payload(index, bytes)), `socket ${index}`);
    t.notOk(buffers[index]!.bytes.subarray(bytes).some(Boolean), 'and not a byte more');
  });
  const writes = pairs.map(({ near }, index) => batch.send(near, buffers[index]!.address, 10));
  t.equal(batch.run(), 4);
  pairs.forEach(({ far }, index) => {
    t.equal(batch.resultOf(writes[index]!), 10);
    far.receive();
    t.ok(far.received.equals(payload(index, 10)));
  });
  t.same(failures, []);
});

eachBatch('calls are made in the order in which they were asked for', (t, kit, { batch }) => {
  const { near, far } = kit.pair('unix');
  const [one, two, three] = [memoryOf('one'), memoryOf('two'), memoryOf('three')];
  const [first, second] = [new NativeMemory(100), new NativeMemory(100)];
  batch.send(near, one.address, 3);
  batch.send(near, two.address, 3);
  const read = batch.recv(far.fd, first.address, 4);
  batch.send(near, three.address, 5);
  const rest = batch.recv(far.fd, second.address, 100);
  const none = batch.recv(far.fd, second.address, 100);
  t.equal(batch.run(), 6);
  const results = [read, rest, none].map((call) => batch.resultOf(call));
  t.same(results, [4, 7, -Errno.EAGAIN]);
  t.equal(first.bytes.toString('latin1', 0, 4), 'onet');
  t.equal(second.bytes.toString('latin1', 0, 7), 'wothree');
});

eachBatch('a run of nothing is a run', (t, kit, { batch }) => {
  t.equal(batch.run(), 0);
  const { near, far } = kit.pair();
  const bytes = memoryOf('x');
  batch.send(near, bytes.address, 1);
  t.equal(batch.run(), 1);
  t.equal(batch.run(), 0);
  far.receive();
  t.equal(far.receivedBytes, 1, 'made once');
});

eachBatch('no call waits, and none of these is a failure', (t, kit, { batch, failures }) => {
  const { near, far } = kit.pair();
  const large = new NativeMemory(16 * 1024 * 1024);
  const nothing = batch.recv(near, large.address, 100);
  const short = batch.send(near, large.address, large.byteLength);
  t.equal(batch.run(), 2);
  t.equal(batch.resultOf(nothing), -Errno.EAGAIN);
  const taken = batch.resultOf(short);
  t.ok(taken > 0 && taken < large.byteLength, `${taken} bytes`);
  batch.send(near, large.address, large.byteLength);
  batch.run();
  t.equal(batch.resultOf(0), -Errno.EAGAIN, 'full');
  far.end();
  batch.recv(near, large.address, 100);
  batch.run();
  t.equal(batch.resultOf(0), 0, 'an end of stream');
  t.same(failures, []);
});

eachBatch('what fails is said once, and has no signal', (t, kit, { batch, failures }) => {
  const [broken, well] = [kit.pair(), kit.pair()];
  const bytes = memoryOf('bytes');
  const buffer = new NativeMemory(100);
  broken.far.reset();
  well.far.send(payload(1, 7));
  const calls = [
    batch.recv(broken.near, buffer.address, 100),
    batch.send(broken.near, bytes.address, 5),
    batch.recv(well.near, buffer.address, 100),
    batch.send(12_345, bytes.address, 5),
    batch.recv(-1, buffer.address, 100),
    batch.send(well.near, bytes.address, 5),
    batch.send(broken.near, bytes.address, 5),
  ];
  t.equal(batch.run(), 7);
  const { ECONNRESET, EPIPE, EBADF } = Errno;
  t.same(
    calls.map((call) => batch.resultOf(call)),
    [-ECONNRESET, -EPIPE, 7, -EBADF, -EBADF, 5, -EPIPE],
  );
  const wanted = [`recv ${ECONNRESET}`, `send ${EPIPE}`, `send ${EBADF}`, `recv ${EBADF}`];
  t.same(failures.sort(), [...wanted, `send ${EPIPE}`].sort());
  well.far.receive();
  t.equal(well.far.receivedBytes, 5);
});

eachBatch('a call that was withdrawn is not made', (t, kit, { batch, failures }) => {
  const { near, far } = kit.pair();
  const bytes = memoryOf('abc');
  const calls = [0, 1, 2].map((at) => batch.send(near, bytes.address + at, 1));
  const gone = batch.send(12_345, bytes.address, 1);
  batch.withdraw(calls[1]!);
  batch.withdraw(gone);
  t.equal(batch.run(), 4, 'it keeps its number');
  t.same(
    [...calls, gone].map((call) => batch.resultOf(call)),
    [1, 0, 1, 0],
  );
  far.receive();
  t.equal(far.received.toString(), 'ac');
  batch.withdraw(batch.recv(near, bytes.address, 1));
  t.equal(batch.run(), 1);
  batch.send(near, bytes.address, 3);
  batch.run();
  t.equal(batch.resultOf(0), 3, 'the place is as good as new');
  t.same(failures, []);
});

eachBatch('goes on for longer than there are places, full or not', (t, kit, { batch }) => {
  const pairs = Array.from({ length: CAPACITY }, () => kit.pair('unix'));
  const buffers = pairs.map(() => new NativeMemory(4));
  const sent = pairs.map(() => 0);
  for (let round = 1; round < 200; round++) {
    const count = 1 + (round % CAPACITY);
    for (let index = 0; index < count; index++) {
      buffers[index]!.bytes.writeInt32LE(++sent[index]!);
      const call = batch.send(pairs[index]!.near, buffers[index]!.address, 4);
      if (call !== index) t.fail(`call ${call}`);
    }
    if (batch.run() !== count) t.fail('not as many');
    for (let call = 0; call < count; call++) {
      if (batch.resultOf(call) !== 4) t.fail(`round ${round}: ${batch.resultOf(call)}`);
    }
  }
  pairs.forEach(({ far }, index) => {
    far.receive();
    const expected = Int32Array.from({ length: sent[index]! }, (_, number) => number + 1);
    t.ok(far.received.equals(Buffer.from(expected.buffer)), `socket ${index}`);
  });
});

eachBatch('memory may be anywhere', (t, kit, { batch }) => {
  const { near, far } = kit.pair();
  const [low] = NativeMemory.low(4096, 1);
  // More than malloc(3) ever takes from the program's own heap, which may be low.
  const high = new NativeMemory(64 * 1024 * 1024);
  if (process.arch === 'x64') t.ok(low!.address < 2 ** 31);
  t.ok(high.address > 2 ** 32);
  for (const memory of [low!, high]) {
    const at = memory.byteLength - 100;
    payload(at, 50).copy(memory.bytes, memory.start + at);
    batch.send(near, memory.address + at, 50);
    batch.run();
    t.equal(batch.resultOf(0), 50);
    far.send(payload(at, 50));
    batch.recv(near, memory.address + at + 50, 50);
    batch.run();
    t.equal(batch.resultOf(0), 50);
    t.ok(memory.bytes.subarray(memory.start + at + 50, memory.end).equals(payload(at, 50)));
  }
  far.receive();
  t.ok(far.received.equals(Buffer.concat([payload(3996, 50), payload(high.byteLength - 100, 50)])));
});

eachBatch(
  'closes with what was written before, and says which',
  (t, kit, { batch, failures, closings }) => {
    const pairs = [kit.pair(), kit.pair('unix'), kit.pair('inet6')];
    const bytes = memoryOf('last words');
    for (const { near } of pairs) {
      kit.disown(near);
      batch.send(near, bytes.address, 10);
      batch.closeSocket(near);
    }
    const wrong = batch.closeSocket(12_345);
    t.equal(batch.run(), 7);
    t.same(
      [1, 3, 5].map((call) => batch.resultOf(call)),
      [0, 0, 0],
    );
    t.equal(batch.resultOf(wrong), -Errno.EBADF);
    t.same(failures, [`close ${Errno.EBADF}`]);
    t.same(closings, [...pairs.map(({ near }) => near), 12_345]);
    for (const { near, far } of pairs) {
      far.receive();
      t.same([far.received.toString(), far.isEnded], ['last words', true]);
      t.equal(kit.kernel.fcntl(near, Splice.F_GETPIPE_SZ, 0), -Errno.EBADF, 'its number is free');
    }
  },
);
