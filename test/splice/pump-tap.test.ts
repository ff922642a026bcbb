import t, { type Test } from 'tap';
import {
  type CutReason,
  Errno,
  NativeMemory,
  type Pipe,
  PipeTap,
  type PumpTap,
  type SyscallName,
  TapPair,
} from '#src/splice/index.js';
import { payload, Random } from '#test/support/random.js';
import { nothingTaken, PumpRig, type RigOptions } from '#test/support/sockets/pump-rig.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

const BUFFER = 8192;

/** A pump with a tap, and whoever empties the tap's pipe. */
class TapRig {
  readonly rig: PumpRig;
  readonly tap: PipeTap;
  private readonly chunks: Buffer[] = [];
  private readonly memory = new NativeMemory(65536);

  constructor(
    private readonly kit: SocketKit,
    options: RigOptions & { tapBytes?: number } = {},
  ) {
    this.rig = new PumpRig(kit, options);
    const { kernel, pipes, buffers, clock } = this.rig;
    this.tap = new PipeTap({ kernel, pipes, buffers, clock }, options.tapBytes);
    this.rig.pump.tap = this.tap;
  }

  get collected(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** Takes what is in the tap's pipes, at most so much, with calls that are never scripted. */
  empty(most = Number.POSITIVE_INFINITY): void {
    const { tap } = this;
    for (let left = most; tap.waitingBytes > 0 && left > 0; tap.settle()) {
      const pipe = tap.pipe!;
      const length = Math.min(pipe.bytes, this.memory.byteLength, left);
      const read = this.kit.kernel.read(pipe.readEnd, this.memory.address, length);
      if (read <= 0) throw new Error(`the pipe should have ${pipe.bytes} bytes more: ${read}`);
      pipe.bytes -= read;
      left -= read;
      this.chunks.push(Buffer.from(this.memory.bytes.subarray(0, read)));
    }
  }

  /** Sends in pieces, and empties the tap after each. */
  transfer(bytes: Buffer, pieces: readonly number[]): void {
    let at = 0;
    for (const piece of pieces) {
      const next = bytes.subarray(at, at + piece);
      at += next.length;
      this.rig.transfer(next, this.rig.receiver.receivedBytes + next.length);
      this.empty();
    }
  }

  finish(t: Test): void {
    this.tap.release();
    t.same(this.rig.finish(), nothingTaken);
  }
}

/** Has seen what a tap is told, without system calls: the pump's own bytes, read back from memory. */
class Witness implements PumpTap {
  splicedBytes = 0;
  copiedBytes = 0;
  wasAlone = true;

  spliced(pipe: Pipe, bytes: number): void {
    this.splicedBytes += bytes;
    if (pipe.bytes !== bytes) this.wasAlone = false;
  }

  copied(_address: number, bytes: number): void {
    this.copiedBytes += bytes;
  }
}

/** Small pieces, which are copied, and large ones, of which most is spliced. */
function mixedPieces(random: Random, byteLength: number): number[] {
  const pieces: number[] = [];
  for (let left = byteLength; left > 0; ) {
    const most = random.oneIn(3) ? 50_000 : 600;
    const piece = Math.min(left, random.between(1, most));
    pieces.push(piece);
    left -= piece;
  }
  return pieces;
}

for (const family of ['inet', 'unix'] as const) {
  socketTest(`tap: the same bytes, copied and spliced in turns (${family})`, async (t, kit) => {
    const seed = Random.seed();
    const bytes = payload(seed, 1_500_000);
    const tapped = new TapRig(kit, { family });
    tapped.transfer(bytes, mixedPieces(new Random(seed), bytes.length));
    t.ok(tapped.rig.receiver.received.equals(bytes), `seed ${seed}`);
    t.ok(tapped.collected.equals(bytes), `seed ${seed}`);
    t.equal(tapped.tap.isCut, false);
    t.equal(tapped.tap.bytes, bytes.length);
    t.ok(tapped.tap.teedBytes > 100_000, 'by reference');
    t.ok(tapped.tap.copiedBytes > 10_000, 'and by copy');
    t.equal(tapped.tap.teedBytes, tapped.rig.pump.splicedBytes);
    t.equal(tapped.tap.copiedBytes, tapped.rig.pump.copiedBytes);
    t.equal(tapped.tap.pipe, undefined, 'and owns nothing while nothing is under way');
    tapped.finish(t);
  });
}

socketTest('tap: sees the bytes once, although the sink takes them in pieces', async (t, kit) => {
  const tapped = new TapRig(kit);
  const witness = new Witness();
  tapped.rig.pump.tap = new TapPair(witness, tapped.tap);
  tapped.rig.libc.script('splice', (args, real) =>
    args[2] === tapped.rig.sink.fd ? real(...args.with(4, Math.min(args[4]!, 999))) : real(...args),
  );
  const bytes = payload(5, 200_000);
  tapped.transfer(bytes, [5, 60_000, 60_000, 79_995]);
  t.ok(tapped.collected.equals(bytes));
  t.equal(witness.splicedBytes + witness.copiedBytes, bytes.length);
  t.ok(witness.splicedBytes > 0 && witness.copiedBytes > 0);
  t.ok(witness.wasAlone, 'the pump’s pipe has nothing but the new bytes');
  tapped.finish(t);
});

socketTest('tap: two of them have the same bytes', async (t, kit) => {
  const tapped = new TapRig(kit);
  const { kernel, pipes, buffers, clock, pump } = tapped.rig;
  const other = new PipeTap({ kernel, pipes, buffers, clock });
  pump.tap = new TapPair(tapped.tap, other);
  const bytes = payload(6, 40_000);
  tapped.transfer(bytes, [bytes.length]);
  t.ok(tapped.collected.equals(bytes));
  t.equal(other.bytes, bytes.length);
  t.equal(other.waitingBytes, bytes.length, 'the slow one keeps what it took');
  const memory = new NativeMemory(bytes.length);
  kit.kernel.read(other.pipe!.readEnd, memory.address, memory.byteLength);
  t.ok(memory.bytes.equals(bytes));
  other.release();
  tapped.finish(t);
});

socketTest('tap: a full pipe cuts it, and what it took is a beginning', async (t, kit) => {
  for (const small of [true, false]) {
    const tapped = new TapRig(kit);
    const bytes = payload(7, 400_000);
    const { rig, tap } = tapped;
    if (small) {
      for (let at = 0; at < bytes.length; at += 1000) {
        rig.transfer(bytes.subarray(at, at + 1000), at + 1000);
      }
    } else rig.transfer(bytes);
    t.ok(rig.receiver.received.equals(bytes), 'the sink has everything');
    t.equal(tap.cutBy, 'full');
    tapped.empty();
    const { collected } = tapped;
    t.equal(collected.length, tap.bytes);
    t.ok(collected.length > 0 && collected.length < bytes.length);
    t.ok(collected.equals(bytes.subarray(0, collected.length)));
    tapped.transfer(payload(8, 100), [100]);
    t.equal(tapped.collected.length, collected.length, 'cut for good, whatever room there is');
    tapped.finish(t);
  }
});

// Several pipes, emptied late and by parts: what one has of a splice that did not fit is disowned.
socketTest('tap: with several pipes it has no gap either', async (t, kit) => {
  const seed = Random.seed();
  const random = new Random(seed);
  const bytes = payload(seed, 4_000_000);
  const tapped = new TapRig(kit, { tapBytes: 400_000 });
  const { rig, tap } = tapped;
  let wasSpoiled = false;
  let at = 0;
  for (const piece of mixedPieces(random, bytes.length)) {
    rig.transfer(bytes.subarray(at, at + piece), at + piece);
    at += piece;
    if (rig.pipes.gauges.inUse > 3) tapped.empty(random.between(1, 300_000));
    else if (random.oneIn(20)) tapped.empty(random.between(1, 50_000));
    wasSpoiled ||= rig.libc.trace.some(({ name, result }) => name === 'tee' && result < 0);
    rig.libc.trace.length = 0;
  }
  tapped.empty();
  t.equal(tap.isCut, false, `seed ${seed}`);
  t.ok(tapped.collected.equals(bytes), `seed ${seed}`);
  t.ok(wasSpoiled, 'one pipe was not enough at times');
  t.equal(tap.pipe, undefined);
  tapped.finish(t);
});

socketTest('tap: several pipes are not more than it may have', async (t, kit) => {
  const tapped = new TapRig(kit, { tapBytes: 200_000 });
  // A place of a pipe may have much more than a page, so nobody knows when it is full.
  const bytes = payload(13, 8_000_000);
  for (let at = 0; at < bytes.length && !tapped.tap.isCut; at += 50_000) {
    tapped.rig.transfer(bytes.subarray(at, at + 50_000), at + 50_000);
  }
  t.equal(tapped.tap.cutBy, 'full');
  t.equal(tapped.rig.pipes.gauges.inUse, 4, 'of 64 KiB each, begun below 200,000 bytes');
  tapped.empty();
  const { collected } = tapped;
  t.ok(collected.length > 200_000, `${collected.length}`);
  t.ok(collected.equals(bytes.subarray(0, collected.length)));
  tapped.finish(t);
});

socketTest('tap: one that was released takes nothing more', async (t, kit) => {
  const tapped = new TapRig(kit);
  tapped.transfer(payload(9, 100), [100]);
  tapped.tap.release();
  tapped.rig.transfer(payload(9, 100_000), 100_100);
  t.equal(tapped.tap.bytes, 100);
  t.equal(tapped.tap.isCut, false);
  tapped.finish(t);
});

const faults: readonly (readonly [SyscallName, number | 'short', CutReason])[] = [
  ['tee', Errno.EAGAIN, 'full'],
  ['tee', 'short', 'full'],
  ['tee', Errno.ENOMEM, 'failed'],
  ['tee', Errno.EINVAL, 'refused'],
  ['tee', Errno.ENOSYS, 'refused'],
  ['write', Errno.EAGAIN, 'full'],
  ['write', 'short', 'full'],
  ['write', Errno.ENOMEM, 'failed'],
  ['pipe2', Errno.EMFILE, 'no_pipe'],
  ['pipe2', Errno.ENFILE, 'no_pipe'],
  ['pipe2', Errno.ENOMEM, 'no_pipe'],
];

// Each fault at each of the calls of its kind, until a run has no such call left.
for (const [name, fault, reason] of faults) {
  for (const tapBytes of [0, 300_000])
    socketTest(`tap: ${name} answers ${fault}, at each call, ${tapBytes} bytes`, async (t, kit) => {
      const bytes = payload(10, 120_000);
      const pieces = [300, 20_000, 700, 40_000, 9000, 50_000];
      for (let nth = 1; ; nth++) {
        const tapped = new TapRig(kit, { tapBytes });
        const { rig, tap } = tapped;
        let seen = 0;
        rig.libc.script(name, (args, real) => {
          if (++seen !== nth) return real(...args);
          return fault === 'short' ? real(...args.with(2, Math.ceil(args[2]! / 2))) : -fault;
        });
        tapped.transfer(bytes, pieces);
        if (!rig.receiver.received.equals(bytes)) t.fail(`call ${nth}: the sink's bytes are wrong`);
        const { collected } = tapped;
        const expected = bytes.subarray(0, collected.length);
        if (!collected.equals(expected)) t.fail(`call ${nth}: not a beginning`);
        if (collected.length !== tap.bytes)
          t.fail(`call ${nth}: ${tap.bytes} taken, and not there`);
        tap.release();
        if (JSON.stringify(rig.finish()) !== JSON.stringify(nothingTaken))
          t.fail(`call ${nth}: kept`);
        if (seen < nth) {
          t.ok(nth > 1, 'there were such calls');
          t.ok(collected.equals(bytes), 'without a fault it has everything');
          return;
        }
        // The pump opens pipes, too, and copies without one; the tap may have had its own by then.
        const isCutFor = name !== 'pipe2' && (tapBytes === 0 || reason !== 'full');
        if (isCutFor && tap.cutBy !== reason) t.fail(`call ${nth}: cut by ${tap.cutBy}`);
        if (tap.isCut && tap.cutBy !== reason) t.fail(`call ${nth}: cut by ${tap.cutBy}`);
        if (tap.isCut && collected.length >= bytes.length) t.fail(`call ${nth}: cut, and whole`);
      }
    });
}

socketTest('tap: without any pipe it is cut at the first byte', async (t, kit) => {
  const tapped = new TapRig(kit, { pipeMemoryBytes: 1 });
  const bytes = payload(11, 3 * BUFFER);
  tapped.rig.transfer(bytes);
  t.ok(tapped.rig.receiver.received.equals(bytes));
  t.equal(tapped.tap.cutBy, 'no_pipe');
  t.equal(tapped.tap.bytes, 0);
  tapped.finish(t);
});

socketTest('tap: a pump without one makes the calls it always made', async (t, kit) => {
  const calls = (hasTap: boolean): string[] => {
    const tapped = new TapRig(kit);
    if (!hasTap) tapped.rig.pump.tap = undefined;
    tapped.transfer(payload(12, 100_000), [100, 60_000, 39_900]);
    tapped.finish(t);
    return tapped.rig.libc.trace.map(({ name }) => name);
  };
  const untapped = calls(false);
  t.notOk(untapped.includes('tee') || untapped.includes('write'));
  t.ok(calls(true).includes('tee'));
});

t.test('tap: a pair tells both, in order', async (t) => {
  const told: string[] = [];
  const named = (name: string): PumpTap => ({
    spliced: (_pipe, bytes) => void told.push(`${name} spliced ${bytes}`),
    copied: (address, bytes) => void told.push(`${name} copied ${bytes} at ${address}`),
  });
  const pair = new TapPair(named('first'), named('second'));
  pair.copied(7, 3);
  pair.spliced({} as Pipe, 9);
  t.same(told, [
    'first copied 3 at 7',
    'second copied 3 at 7',
    'first spliced 9',
    'second spliced 9',
  ]);
});
