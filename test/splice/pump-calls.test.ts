import { COUNTER_REGION_BYTES, Counters } from '#src/proxy/index.js';
import { TurnCalls } from '#src/proxy/turn-calls.js';
import { Epoll, Errno, PAIR_EVENTS, PumpResult, SerialBatch } from '#src/splice/index.js';
import type { Script } from '#test/support/faults/scripted-libc.js';
import { payload, Random } from '#test/support/random.js';
import { nothingTaken, PumpRig, type RigOptions } from '#test/support/sockets/pump-rig.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

/** Longer writes are not put off; see pump.ts. */
const LATE_WRITE_MAX = 16 * 1024;
const BUFFER = 8192;

/** A pump whose calls are made together with others', and the turns of the loop that does it, by hand. */
class SharingRig extends PumpRig {
  readonly calls: TurnCalls;
  /** How often the pump's owner was told to run it. */
  failures = 0;

  constructor(kit: SocketKit, options: RigOptions & { readonly capacity?: number } = {}) {
    super(kit, options);
    const counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
    const batch = new SerialBatch(this.kernel, options.capacity ?? 8);
    this.calls = new TurnCalls(batch, counters);
    this.pump.shareCalls(this.calls, {
      onSinkFailed: () => this.failures++,
      onException(error) {
        throw error;
      },
    });
    // The first look at the two: both are writable.
    this.look();
    this.libc.trace.length = 0;
  }

  /** The beginning of a turn in which the source alone has something, or nothing, to say. */
  readAhead(): void {
    this.pump.askAhead(this.calls);
    this.calls.read();
  }

  /** The same, and then the source's event: its bytes go into the sink's queue, or wait for {@link write}. */
  serve(): PumpResult {
    this.readAhead();
    this.source.notice(Epoll.EPOLLIN);
    return this.pump.run();
  }

  write(): void {
    this.calls.write();
  }

  /** A turn as the loop makes it of what epoll says, its events in any order. */
  turnOf(random: Random): void {
    const { poll, source, sink } = this;
    const events = Array.from({ length: Math.max(0, poll.wait(0)) }, (_, index) => ({
      side: poll.generationAt(index) === 0 ? source : sink,
      bits: poll.eventsAt(index),
    }));
    const isRead = events.some(({ side, bits }) => side === source && (bits & Epoll.EPOLLIN) !== 0);
    if (isRead && random.oneIn(2)) this.readAhead();
    else this.calls.read();
    if (random.oneIn(2)) events.reverse();
    for (const { side, bits } of events) {
      side.notice(bits);
      this.pump.run();
      if (random.oneIn(10)) this.pump.settle();
    }
    this.write();
  }

  /** As the kernel raises an edge after a write that did not go whole. */
  promiseRoom(): void {
    this.poll.modify(this.sink.fd, PAIR_EVENTS, 1);
  }

  /** What the far end has by now. */
  get arrived(): Buffer {
    this.receiver.receive();
    return this.receiver.received;
  }
}

/** The next call takes no more than so many bytes; those after it are real. */
function shortOnce(bytes: number): Script {
  let isShort = true;
  return (args, real) => {
    if (!isShort) return real(...args);
    isShort = false;
    return real(...args.with(2, bytes));
  };
}

socketTest('shared calls: one read ahead, one late write, and nothing else', async (t, kit) => {
  const rig = new SharingRig(kit);
  const bytes = payload(1, 3000);
  const seen: number[] = [];
  rig.pump.tap = { copied: (_, length) => seen.push(length), spliced: () => {} };
  rig.sender.send(bytes);
  rig.readAhead();
  t.equal(rig.libc.count('recv'), 1);
  t.equal(rig.pump.isHolding, false, 'the event has not come yet');
  t.equal(rig.pump.isDue, true);
  t.equal(rig.pump.run(), PumpResult.Waiting, 'nor has anybody said that there is something');
  rig.source.notice(Epoll.EPOLLIN);
  t.equal(rig.pump.run(), PumpResult.Waiting);
  t.same([rig.pump.isHolding, rig.pump.heldBytes], [true, 3000]);
  t.equal(rig.arrived.length, 0);
  rig.write();
  t.ok(rig.arrived.equals(bytes));
  t.equal(rig.pump.isHolding, false);
  t.same(seen, [3000], 'whoever looks on has seen it once');
  t.same([rig.meterOf('CopyBytes'), rig.meterOf('CopyOperations')], [3000, 1]);
  t.same([rig.pump.copiedBytes, rig.meterOf('SinkBlocked')], [3000, 0]);
  t.same([rig.libc.count('recv'), rig.libc.count('send'), rig.failures], [1, 1, 0]);
  rig.write();
  t.equal(rig.libc.count('send'), 1);
  t.same(rig.finish(), nothingTaken);
});

socketTest('shared calls: run again in the same turn, a pump writes once', async (t, kit) => {
  const rig = new SharingRig(kit);
  rig.sender.send(payload(1, 1000));
  rig.serve();
  rig.sink.notice(Epoll.EPOLLOUT);
  t.equal(rig.pump.run(), PumpResult.Waiting);
  t.equal(rig.pump.run(), PumpResult.Waiting);
  rig.write();
  t.ok(rig.arrived.equals(payload(1, 1000)));
  t.same(rig.finish(), nothingTaken);
});

socketTest('shared calls: what comes while a write waits is not forgotten', async (t, kit) => {
  const rig = new SharingRig(kit);
  const bytes = payload(1, 3000);
  rig.libc.script('send', () => -Errno.EAGAIN);
  rig.sender.send(bytes.subarray(0, 2000));
  rig.serve();
  rig.write();
  t.equal(rig.pump.heldBytes, 2000);
  rig.libc.script('send');
  // A turn in which the sink’s event comes first: its write is put off. Then there is more to read.
  rig.sender.send(bytes.subarray(2000));
  rig.readAhead();
  rig.sink.notice(Epoll.EPOLLOUT);
  t.equal(rig.pump.run(), PumpResult.Waiting);
  t.equal(rig.arrived.length, 0, 'put off');
  rig.source.notice(Epoll.EPOLLIN);
  t.equal(rig.pump.run(), PumpResult.Waiting);
  rig.write();
  t.ok(rig.arrived.equals(bytes), 'no event will come for what was announced');
  t.same(rig.finish(), nothingTaken);
});

for (const [name, script, taken] of [
  ['takes a part', shortOnce(700), 700],
  ['finds no room', () => -Errno.EAGAIN, 0],
] as const) {
  socketTest(`shared calls: after a late write that ${name} the rest follows`, async (t, kit) => {
    const rig = new SharingRig(kit);
    const bytes = payload(1, 2500);
    rig.libc.script('send', script);
    rig.sender.send(bytes);
    rig.serve();
    rig.write();
    t.equal(rig.pump.heldBytes, 2500 - taken);
    t.equal(rig.sink.writable, false, 'an event will say when');
    t.equal(rig.meterOf('SinkBlocked'), 1);
    t.equal(rig.pump.run(), PumpResult.Waiting);
    t.equal(rig.pump.mayReadAhead, false, 'it holds something');
    rig.libc.script('send');
    rig.calls.read();
    rig.sink.notice(Epoll.EPOLLOUT);
    t.equal(rig.pump.run(), PumpResult.Waiting);
    rig.write();
    t.ok(rig.arrived.equals(bytes));
    t.same([rig.pump.isHolding, rig.failures, rig.pump.copiedBytes], [false, 0, 2500]);
    t.same(rig.finish(), nothingTaken);
  });
}

for (const errno of [Errno.EPIPE, Errno.ECONNRESET, Errno.ENOMEM]) {
  socketTest(
    `shared calls: a late write that fails (${errno}) is a broken sink`,
    async (t, kit) => {
      const rig = new SharingRig(kit);
      rig.sender.send(payload(1, 100));
      rig.libc.fail('send', errno);
      rig.serve();
      t.equal(rig.failures, 0);
      rig.write();
      t.equal(rig.failures, 1, 'the owner is told');
      t.equal(rig.sink.errno, errno);
      t.equal(rig.pump.run(), PumpResult.SinkFailed);
      t.equal(rig.libc.count('send'), 1, 'not tried again');
      t.same(rig.finish(), nothingTaken);
    },
  );
}

socketTest('shared calls: a write that is settled is made at once, and once', async (t, kit) => {
  const rig = new SharingRig(kit);
  rig.pump.settle();
  rig.sender.send(payload(1, 1000));
  rig.serve();
  rig.pump.settle();
  t.ok(rig.arrived.equals(payload(1, 1000)));
  t.equal(rig.pump.isHolding, false);
  rig.pump.settle();
  rig.write();
  t.same([rig.libc.count('send'), rig.arrived.length], [1, 1000]);
  rig.libc.script('send', shortOnce(10));
  rig.sender.send(payload(2, 1000));
  rig.serve();
  rig.pump.settle();
  rig.write();
  t.equal(rig.pump.heldBytes, 990, 'what did not go stays');
  rig.libc.fail('send', Errno.EPIPE);
  rig.sink.notice(Epoll.EPOLLOUT);
  rig.calls.read();
  rig.pump.run();
  rig.pump.settle();
  t.equal(rig.failures, 1);
  t.equal(rig.pump.run(), PumpResult.SinkFailed);
  t.same(rig.finish(), nothingTaken);
});

socketTest('shared calls: a pump that is released writes no more', async (t, kit) => {
  const rig = new SharingRig(kit);
  rig.sender.send(payload(1, 1000));
  rig.serve();
  rig.pump.release();
  t.equal(rig.buffers.inUse, 0);
  rig.write();
  t.same([rig.libc.count('send'), rig.arrived.length], [0, 0]);
  t.equal(rig.pump.mayReadAhead, false);
  t.same(rig.finish(), nothingTaken);
});

socketTest('shared calls: what was read for a released pump is given back', async (t, kit) => {
  const rig = new SharingRig(kit);
  rig.sender.send(payload(1, 1000));
  rig.readAhead();
  t.equal(rig.buffers.inUse, 1);
  rig.pump.release();
  t.equal(rig.buffers.inUse, 0);
  rig.write();
  t.equal(rig.libc.count('send'), 0);
  t.same(rig.finish(), nothingTaken);
});

socketTest('shared calls: a read ahead may find nothing, an end, an error', async (t, kit) => {
  for (const [how, result] of [
    ['nothing', PumpResult.Waiting],
    ['end', PumpResult.Ended],
    ['reset', PumpResult.SourceFailed],
  ] as const) {
    const rig = new SharingRig(kit);
    if (how === 'end') rig.sender.end();
    if (how === 'reset') rig.sender.reset();
    pause(1);
    t.equal(rig.serve(), result, how);
    t.equal(rig.libc.count('recv'), 1);
    t.equal(rig.source.readable, false);
    t.equal(rig.source.errno, how === 'reset' ? Errno.ECONNRESET : 0);
    t.equal(rig.meterOf('SourceBlocked'), how === 'nothing' ? 1 : 0);
    rig.write();
    t.same(rig.finish(), nothingTaken);
  }
});

socketTest('shared calls: only small writes that end a turn’s work wait', async (t, kit) => {
  const rig = new SharingRig(kit, { bufferBytes: 64 * 1024 });
  const bytes = payload(1, 3 * LATE_WRITE_MAX);
  rig.sender.send(bytes.subarray(0, LATE_WRITE_MAX));
  rig.serve();
  t.equal(rig.libc.count('send'), 0, 'put off');
  rig.write();
  t.equal(rig.libc.count('send'), 1);
  rig.sender.send(bytes.subarray(LATE_WRITE_MAX, 2 * LATE_WRITE_MAX + 1));
  rig.serve();
  t.equal(rig.libc.count('send'), 2, 'too long');
  rig.sender.send(bytes.subarray(2 * LATE_WRITE_MAX + 1));
  // Nobody serves events: tasks and timers come after the writes of a turn.
  rig.write();
  rig.source.notice(Epoll.EPOLLIN);
  rig.pump.run();
  t.equal(rig.libc.count('send'), 3, 'the moment is over');
  rig.sender.send(payload(2, 10));
  rig.sender.end();
  rig.readAhead();
  rig.source.notice(Epoll.EPOLLIN | Epoll.EPOLLRDHUP);
  t.equal(rig.pump.run(), PumpResult.Ended);
  t.equal(rig.libc.count('send'), 4, 'an end does not overtake its bytes');
  t.ok(rig.arrived.equals(Buffer.concat([bytes, payload(2, 10)])));
  t.same(rig.finish(), nothingTaken);
});

socketTest('shared calls: where there is no room for one more, it is made', async (t, kit) => {
  const rig = new SharingRig(kit, { capacity: 1 });
  const other = kit.pair();
  rig.sender.send(payload(1, 10));
  rig.readAhead();
  const made: number[] = [];
  const writer = { onWritten: (result: number) => made.push(result), onException: () => {} };
  const ticket = rig.calls.add(other.near, 0, 0, writer);
  rig.source.notice(Epoll.EPOLLIN);
  rig.pump.run();
  t.equal(rig.arrived.length, 10);
  t.equal(ticket, 0);
  rig.write();
  t.same(made, [0], 'and the other one, too');
  t.same(rig.finish(), nothingTaken);
});

socketTest('shared calls: a limit is kept, and its end is said in time', async (t, kit) => {
  const rig = new SharingRig(kit);
  rig.pump.remainingBytes = 1000;
  rig.sender.send(payload(1, 3000));
  t.equal(rig.pump.mayReadAhead, false);
  t.equal(rig.serve(), PumpResult.Ended);
  rig.write();
  t.ok(rig.arrived.equals(payload(1, 3000).subarray(0, 1000)));
  rig.pump.remainingBytes = 2000;
  t.equal(rig.pump.run(), PumpResult.Ended);
  t.ok(rig.arrived.equals(payload(1, 3000)));
  // The last of a limit, and nothing behind it: no event would have the pump say that it has ended.
  rig.pump.remainingBytes = 50;
  rig.sender.send(payload(2, 50));
  rig.calls.read();
  rig.source.notice(Epoll.EPOLLIN);
  t.equal(rig.pump.run(), PumpResult.Ended);
  rig.write();
  t.equal(rig.arrived.length, 3050);
  t.same(rig.finish(), nothingTaken);
});

socketTest(
  'shared calls: two full reads ahead begin splicing, which reads by itself',
  async (t, kit) => {
    const rig = new SharingRig(kit);
    const bytes = payload(1, 100_000);
    rig.sender.send(bytes.subarray(0, BUFFER));
    rig.serve();
    rig.write();
    t.equal(rig.pump.mayReadAhead, true);
    rig.sender.send(bytes.subarray(BUFFER));
    pause(1);
    rig.serve();
    rig.write();
    t.ok(rig.pump.splicedBytes > 0);
    t.equal(rig.pump.mayReadAhead, false);
    rig.transfer(Buffer.alloc(0), bytes.length);
    t.ok(rig.arrived.equals(bytes));
    t.same(rig.finish(), nothingTaken);
  },
);

socketTest('shared calls: unix sockets have theirs by themselves', async (t, kit) => {
  const rig = new SharingRig(kit, { family: 'unix' });
  rig.sender.send(payload(1, 100));
  t.equal(rig.pump.mayReadAhead, false);
  rig.serve();
  t.equal(rig.arrived.length, 100);
  rig.write();
  t.same(rig.finish(), nothingTaken);
});

const seed = Random.seed();
socketTest(
  `shared calls: any order of events keeps that of bytes (SEED=${seed})`,
  async (t, kit) => {
    const random = new Random(seed);
    const rig = new SharingRig(kit);
    const bytes = payload(seed, 400_000);
    rig.libc.script('send', (args, real) => {
      if (random.oneIn(2)) return real(...args);
      // What does not go, or not whole, promises an event.
      rig.promiseRoom();
      return random.oneIn(2) ? -Errno.EAGAIN : real(...args.with(2, random.between(1, args[2]!)));
    });
    const deadline = Date.now() + 5000;
    let isSilent = false;
    for (let sent = 0; rig.receiver.receivedBytes < bytes.length && Date.now() < deadline; ) {
      const more = random.oneIn(2) ? random.between(1, random.pick([10, 1000, 20_000])) : 0;
      // Until all has arrived there is nothing new now and then: what was forgotten stays forgotten.
      if (rig.receiver.receivedBytes === sent) isSilent = false;
      else if (random.oneIn(4)) isSilent = true;
      if (!isSilent) sent += rig.sender.send(bytes.subarray(sent, sent + more));
      rig.turnOf(random);
      rig.receiver.receive();
    }
    t.equal(rig.failures, 0);
    t.ok(rig.arrived.equals(bytes), `${rig.receiver.receivedBytes} of ${bytes.length}`);
    t.same(rig.finish(), nothingTaken);
  },
);
