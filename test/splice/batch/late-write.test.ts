import { LateWrite } from '#src/splice/batch/late-write.js';
import {
  createKernel,
  Epoll,
  Errno,
  type LateWriter,
  type LateWrites,
  Nagle,
  NativeMemory,
  Outcome,
  PlainTransport,
  type Transport,
} from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

const BYTES_MAX = 16 * 1024;
const memory = new NativeMemory(BYTES_MAX + 1);

/** A turn whose end the test decides on. */
class Turn implements LateWrites {
  isOpen = true;
  /** Of the writes that have been made already. */
  result: number | undefined;
  readonly asked: { fd: number; address: number; length: number; writer: LateWriter }[] = [];
  readonly withdrawn: number[] = [];

  add(fd: number, address: number, length: number, writer: LateWriter): number {
    return this.asked.push({ fd, address, length, writer }) - 1;
  }

  withdraw(ticket: number): number | undefined {
    this.withdrawn.push(ticket);
    return this.result;
  }
}

function bench(kit: SocketKit, family: 'inet' | 'unix' = 'inet', nagle: Nagle = Nagle.off) {
  const libc = new ScriptedLibc();
  const { near, far } = kit.pair(family);
  const sink = new PlainTransport(createKernel(libc), near, family === 'inet', nagle);
  sink.notice(Epoll.EPOLLOUT);
  const sent: number[] = [];
  const errors: unknown[] = [];
  const late = new LateWrite({
    onSent: (written) => sent.push(written),
    onException: (error) => errors.push(error),
  });
  return { libc, sink, far, sent, errors, late, turn: new Turn() };
}

socketTest('late write: waits for its turn, and tells what came of it', async (t, kit) => {
  for (const [result, told, writable] of [
    [100, 100, true],
    [60, 60, false],
    [-Errno.EAGAIN, Outcome.Blocked, false],
    [-Errno.EPIPE, Outcome.Failed, false],
  ] as const) {
    const { sink, late, turn, sent, libc } = bench(kit);
    t.equal(late.isPending, false);
    t.equal(late.offer(turn, sink, memory.address, 100), true);
    t.same([late.isPending, late.length, sent], [true, 100, []]);
    const { fd, address, length, writer } = turn.asked[0]!;
    t.same([fd, address, length], [sink.fd, memory.address, 100]);
    writer.onWritten(result);
    t.same([late.isPending, sent, sink.writable], [false, [told], writable]);
    late.settle();
    late.withdraw();
    t.same([sent.length, turn.withdrawn, libc.count('send')], [1, [], 0], 'that was all');
    t.equal(late.offer(turn, sink, memory.address, 1), result > 99, 'again, where there is room');
  }
});

socketTest('late write: what cannot wait is refused', async (t, kit) => {
  const { sink, late, turn } = bench(kit);
  t.equal(late.offer(undefined, sink, memory.address, 1), false, 'calls are not shared');
  t.equal(late.offer(turn, sink, memory.address, BYTES_MAX + 1), false, 'too much');
  t.equal(
    late.offer(turn, { ...sink } as unknown as Transport, memory.address, 1),
    false,
    'no plain socket',
  );
  const unix = bench(kit, 'unix');
  t.equal(unix.late.offer(turn, unix.sink, memory.address, 1), false, 'a unix socket');
  turn.isOpen = false;
  t.equal(late.offer(turn, sink, memory.address, 1), false, 'the moment is over, or full');
  turn.isOpen = true;
  sink.writable = false;
  t.equal(late.offer(turn, sink, memory.address, 1), false, 'there is no room');
  t.same([turn.asked, late.isPending], [[], false]);
  sink.writable = true;
  t.equal(late.offer(turn, sink, memory.address, BYTES_MAX), true);
});

socketTest('late write: settled, it is made at once, if it has not been', async (t, kit) => {
  const { sink, late, turn, sent, libc, far } = bench(kit);
  late.offer(turn, sink, memory.address, 100);
  late.settle();
  t.same([turn.withdrawn, sent, late.isPending], [[0], [100], false]);
  late.offer(turn, sink, memory.address, 100);
  // The writes of the turn have been made, and others are being told of theirs.
  turn.result = 30;
  late.settle();
  t.same([turn.withdrawn, sent, late.isPending], [[0, 1], [100, 30], false]);
  t.equal(libc.count('send'), 1, 'no byte goes twice');
  t.equal(sink.writable, false, 'and what did not go whole is known');
  far.receive();
  t.equal(far.receivedBytes, 100);
});

socketTest('late write: withdrawn, nobody hears of it', async (t, kit) => {
  const { sink, late, turn, sent, libc } = bench(kit);
  late.withdraw();
  late.offer(turn, sink, memory.address, 100);
  late.withdraw();
  late.settle();
  t.same([turn.withdrawn, sent, late.isPending, libc.count('send')], [[0], [], false, 0]);
});

socketTest('late write: an exception in the sender is the sender’s', async (t, kit) => {
  const { late, errors } = bench(kit);
  const error = new Error('boom');
  late.onException(error);
  t.same(errors, [error]);
});

socketTest('late write: Nagle’s algorithm is seen to before it', async (t, kit) => {
  const { sink, late, turn, libc } = bench(kit, 'inet', Nagle.unused);
  for (const options of [0, 1, 1]) {
    late.offer(turn, sink, memory.address, 100);
    t.equal(libc.count('setsockopt'), options, 'the first small write needs none');
    turn.asked.at(-1)!.writer.onWritten(100);
  }
});
