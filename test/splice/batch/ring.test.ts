import type { Test } from 'tap';
import { Ring } from '#src/splice/batch/ring.js';
import {
  createKernel,
  Errno,
  IoUring,
  IoUringCqe,
  IoUringParams,
  IoUringSqe,
} from '#src/splice/index.js';
import { int32At, type MappedMemory, mapShared, unmap } from '#src/splice/syscalls.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { missingIoUring, testWith } from '#test/support/machine/capability.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';

const { IORING_OP_SEND, IORING_OP_NOP, IORING_OFF_SQ_RING, IORING_OFF_SQES } = IoUring;
const ENTRIES = 8;

/** A call as the kernel finds it in the queue. */
interface Taken {
  readonly operation: number;
  readonly fd: number;
  readonly address: bigint;
  readonly length: number;
  readonly flags: number;
}

/**
 * The kernel's side of a ring, played by the test: it may have made as many calls before as it likes, and answers
 * what the test likes. The real one begins at 0, and would have to make 2³¹ calls first.
 */
class PlayedKernel {
  readonly taken: Taken[] = [];
  /** The most calls it takes at once. */
  most = ENTRIES;
  readonly libc = new ScriptedLibc();
  readonly ring: Ring;
  private readonly queues: MappedMemory;
  private readonly submissions: MappedMemory;
  private readonly words: Int32Array;
  private readonly at = { sqHead: 0, sqTail: 0, sqArray: 0, cqHead: 0, cqTail: 0, cqes: 0 };
  private cqEntries = 0;

  /** @param start calls that have been made so far: both queues stand there */
  constructor(start: number) {
    let fd = -1;
    this.libc.script('io_uring_setup', (args, real) => {
      fd = real(...args);
      const said = (offset: number): number => int32At(args[2]! + offset);
      for (const name of Object.keys(this.at) as (keyof typeof this.at)[]) {
        this.at[name] = said(IoUringParams[name]) / 4;
      }
      this.cqEntries = said(IoUringParams.cqEntries);
      return fd;
    });
    const ring = Ring.open(createKernel(this.libc), ENTRIES);
    if (typeof ring === 'number') throw new Error(`no ring: ${ring}`);
    this.ring = ring;
    const { sqArray, cqes } = this.at;
    const words = Math.max(sqArray + ENTRIES, cqes + (this.cqEntries * IoUringCqe.size) / 4);
    this.queues = mapShared(fd, words * 4, IORING_OFF_SQ_RING)!;
    this.submissions = mapShared(fd, ENTRIES * IoUringSqe.size, IORING_OFF_SQES)!;
    this.words = new Int32Array(this.queues.buffer);
    for (const word of ['sqHead', 'sqTail', 'cqHead', 'cqTail'] as const) {
      this.words[this.at[word]] = start;
    }
    Object.assign(ring, { tail: start | 0 });
    this.libc.script('io_uring_enter', ([, , toSubmit]) => this.take(toSubmit!));
  }

  close(): void {
    unmap(this.queues);
    unmap(this.submissions);
    this.ring.close();
  }

  /** Both queues' ends. */
  get ends(): number[] {
    const { words, at } = this;
    return [words[at.sqHead]!, words[at.sqTail]!, words[at.cqHead]!, words[at.cqTail]!];
  }

  private take(toSubmit: number): number {
    const { words, at } = this;
    const count = Math.min(toSubmit, this.most);
    for (let index = 0; index < count; index++) {
      const head = words[at.sqHead]!;
      if (head === words[at.sqTail]) throw new Error('the queue has fewer');
      const place = words[at.sqArray + (head & (ENTRIES - 1))]! * IoUringSqe.size;
      const entry = new DataView(this.submissions.buffer, place, IoUringSqe.size);
      this.taken.push({
        operation: entry.getUint8(IoUringSqe.opcode),
        fd: entry.getInt32(IoUringSqe.fd, true),
        address: entry.getBigUint64(IoUringSqe.address, true),
        length: entry.getUint32(IoUringSqe.length, true),
        flags: entry.getUint32(IoUringSqe.flags, true),
      });
      const tail = words[at.cqTail]!;
      const done = at.cqes + ((tail & (this.cqEntries - 1)) * IoUringCqe.size) / 4;
      words[done + IoUringCqe.userData / 4] = entry.getInt32(IoUringSqe.userData, true);
      words[done + IoUringCqe.result / 4] = 1000 + entry.getInt32(IoUringSqe.fd, true);
      words[at.sqHead] = head + 1;
      words[at.cqTail] = tail + 1;
    }
    return count === 0 ? -Errno.EAGAIN : count;
  }
}

for (const start of [0, 2 ** 31 - 5, 2 ** 32 - 5]) {
  const name = `ring: is used for ever, from the ${start}th call on`;
  const body = (t: Test): void => {
    const played = new PlayedKernel(start);
    const results = new Int32Array(ENTRIES);
    let calls = 0;
    for (let round = 0; round < 6; round++) {
      const count = 1 + ((round * 3) % ENTRIES);
      played.most = round % 2 === 0 ? ENTRIES : 2;
      played.taken.length = 0;
      results.fill(0);
      const expected = Array.from({ length: count }, (_, index) => {
        const address = round === 0 ? 4096 : 0x7fff_ffff_f000 + index;
        played.ring.queue(IORING_OP_SEND, index, address, 10 * index, 64, index);
        const call = { operation: IORING_OP_SEND, fd: index, length: 10 * index, flags: 64 };
        return { ...call, address: BigInt(address) };
      });
      t.equal(played.ring.submit(results), count);
      t.same(played.taken, expected, `round ${round}`);
      t.same(
        [...results.subarray(0, count)],
        expected.map(({ fd }) => 1000 + fd),
      );
      calls += count;
      t.same(played.ends, Array(4).fill((start + calls) | 0));
    }
    // What is not taken is taken back, and its places are used again.
    const takes = (most: number): number => {
      played.most = most;
      return played.ring.submit(results);
    };
    for (let index = 0; index < 3; index++) played.ring.queue(IORING_OP_SEND, 7, 1, 1, 64, index);
    t.equal(takes(0), 0);
    t.same(played.ends, Array(4).fill((start + calls) | 0));
    const place = played.ring.queue(IORING_OP_SEND, 9, 1, 1, 64, 0);
    t.same(played.ring.entryAt(place), {
      ...{ operation: IORING_OP_SEND, fd: 9, address: 1, length: 1, flags: 64 },
    });
    played.ring.withdraw(place);
    played.taken.length = 0;
    t.equal(takes(ENTRIES), 1);
    t.same(
      played.taken.map(({ operation, flags }) => [operation, flags]),
      [[IORING_OP_NOP, 0]],
    );
    played.close();
  };
  const missing = missingIoUring();
  if (missing === undefined) socketTest(name, body);
  else testWith(missing, name, { timeout: 1000 }, async () => {});
}

const missing = missingIoUring();
if (missing === undefined) {
  socketTest('ring: a call that is not over when it should be is a bug, and says so', async (t) => {
    const libc = new ScriptedLibc();
    const ring = Ring.open(createKernel(libc), ENTRIES);
    if (typeof ring === 'number') throw new Error(`no ring: ${ring}`);
    ring.queue(IORING_OP_SEND, 7, 1, 1, 64, 0);
    // It says that it took it, and has not.
    libc.script('io_uring_enter', ([, , toSubmit]) => (toSubmit! > 0 ? 1 : -Errno.EBADF));
    t.throws(() => ring.submit(new Int32Array(ENTRIES)), { code: 'EBADF' });
    ring.close();
  });
}
