import {
  Errno,
  errnoName,
  PlainTransport,
  PumpResult,
  type SocketAddress,
  Splice,
  TURN_BYTES_MAX,
} from '#src/splice/index.js';
import type { ScriptedLibc, Traced } from '#test/support/faults/scripted-libc.js';
import { payload, Random } from '#test/support/random.js';
import { nothingTaken, PumpRig } from '#test/support/sockets/pump-rig.js';
import { pause, socketTest } from '#test/support/sockets/socket-kit.js';

const BUFFER = 8192;
/** Below this a splice counts as small; see pump.ts. */
const SMALL_SPLICE = 16 * 1024;
const refusals = [Errno.EINVAL, Errno.ENOSYS, Errno.EOPNOTSUPP, Errno.EPERM];
const families: readonly SocketAddress['family'][] = ['inet', 'unix'];

/** Splices out of a pipe; those into one go the other way. */
function isSpliceOut(rig: PumpRig, args: readonly number[]): boolean {
  return args[2] === rig.sink.fd;
}

function splices(libc: ScriptedLibc): Traced[] {
  return libc.trace.filter(({ name }) => name === 'splice');
}

/** Brings a pump to the point where it splices, with all that was sent so far delivered. */
function startSplicing(rig: PumpRig): Buffer {
  const bytes = payload(1, 2 * BUFFER);
  rig.transfer(bytes);
  if (rig.pump.copiedBytes !== 2 * BUFFER) throw new Error('not copied in two full reads');
  return bytes;
}

/** Lets nothing into the sink, as a receiver does that has stopped reading. */
function blockSink(rig: PumpRig): void {
  rig.libc.script('send', () => -Errno.EAGAIN);
  rig.libc.script('splice', (args, real) =>
    isSpliceOut(rig, args) ? -Errno.EAGAIN : real(...args),
  );
}

/** As the kernel does when there is room again: the calls work, and there is an event. */
function unblockSink(rig: PumpRig): void {
  rig.libc.script('send');
  rig.libc.script('splice');
  rig.sink.writable = true;
}

for (const family of families) {
  socketTest(`pump: small messages are copied (${family})`, async (t, kit) => {
    const rig = new PumpRig(kit, { family });
    const messages = Array.from({ length: 100 }, (_, index) => payload(index, 1 + index * 10));
    for (const message of messages)
      rig.transfer(message, rig.receiver.receivedBytes + message.length);
    const expected = Buffer.concat(messages);
    t.ok(rig.receiver.received.equals(expected));
    t.equal(rig.pump.splicedBytes, 0);
    t.equal(rig.meterOf('CopyBytes'), expected.length);
    t.equal(rig.meterOf('CopyOperations'), 100);
    t.equal(rig.libc.count('pipe2'), 0, 'no pipe for a quiet connection');
    t.same(rig.finish(), nothingTaken);
  });

  socketTest(`pump: two full reads in a row begin splicing (${family})`, async (t, kit) => {
    const rig = new PumpRig(kit, { family });
    const bytes = payload(2, 100_000);
    rig.transfer(bytes);
    t.ok(rig.receiver.received.equals(bytes));
    t.equal(rig.pump.copiedBytes, 2 * BUFFER);
    t.equal(rig.pump.splicedBytes, bytes.length - 2 * BUFFER);
    t.same(rig.finish(), nothingTaken);
  });
}

socketTest('pump: of a source with records, whole ones begin splicing', async (t, kit) => {
  const rig = new PumpRig(kit, {
    transport: (kernel, fd, isTcp) =>
      Object.defineProperty(new PlainTransport(kernel, fd, isTcp), 'bulkReadBytes', {
        value: BUFFER / 2,
      }),
  });
  const send = (bytes: number): void => {
    rig.transfer(payload(bytes, bytes), rig.receiver.receivedBytes + bytes);
  };
  send(BUFFER / 2);
  send(BUFFER / 2 - 1);
  send(BUFFER / 2);
  t.equal(rig.pump.splicedBytes, 0, 'not two in a row');
  send(BUFFER / 2);
  send(BUFFER / 2);
  t.equal(rig.pump.copiedBytes, 2 * BUFFER - 1);
  t.equal(rig.pump.splicedBytes, BUFFER / 2);
  t.same(rig.finish(), nothingTaken);
});

socketTest(
  'pump: what arrives in pieces that a larger buffer takes whole begins splicing',
  async (t, kit) => {
    const rig = new PumpRig(kit, { bufferBytes: 64 * 1024 });
    for (const bytes of [32_767, 50_000, 32_767, 40_000, 40_001]) {
      rig.transfer(payload(bytes, bytes), rig.receiver.receivedBytes + bytes);
    }
    t.equal(rig.pump.splicedBytes, 0, 'not yet');
    rig.transfer(payload(4, 20_000), rig.receiver.receivedBytes + 20_000);
    t.equal(rig.pump.splicedBytes, 20_000);
    t.same(rig.finish(), nothingTaken);
  },
);

socketTest('pump: where much is expected the first bytes are spliced', async (t, kit) => {
  const rig = new PumpRig(kit);
  rig.pump.expectMuch();
  const bytes = payload(5, 50_000);
  rig.transfer(bytes);
  t.ok(rig.receiver.received.equals(bytes));
  t.equal(rig.pump.copiedBytes, 0);
  t.equal(rig.pump.splicedBytes, bytes.length);
  t.same(rig.finish(), nothingTaken);
});

socketTest(
  'pump: whoever refused to splice is not asked again, whatever is expected',
  async (t, kit) => {
    const rig = new PumpRig(kit);
    rig.libc.script('splice', () => -Errno.EINVAL);
    rig.pump.expectMuch();
    const bytes = payload(6, 50_000);
    rig.transfer(bytes.subarray(0, 100), 100);
    rig.pump.expectMuch();
    rig.transfer(bytes.subarray(100), bytes.length);
    t.ok(rig.receiver.received.equals(bytes));
    t.equal(rig.pump.copiedBytes, bytes.length);
    t.equal(rig.meterOf('Refused'), 1);
    t.same(rig.finish(), nothingTaken);
  },
);

socketTest('pump: full reads with a short one between them go on copying', async (t, kit) => {
  const rig = new PumpRig(kit);
  const bytes = payload(3, 10 * (BUFFER + 100));
  for (let at = 0; at < bytes.length; at += BUFFER + 100) {
    rig.transfer(bytes.subarray(at, at + BUFFER + 100), at + BUFFER + 100);
  }
  t.ok(rig.receiver.received.equals(bytes));
  t.equal(rig.pump.copiedBytes, bytes.length);
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: eight small splices in a row end splicing', async (t, kit) => {
  const rig = new PumpRig(kit);
  const sent = [startSplicing(rig)];
  const send = (bytes: Buffer): void => {
    sent.push(bytes);
    rig.transfer(bytes, rig.receiver.receivedBytes + bytes.length);
  };
  for (let index = 0; index < 8; index++) send(payload(index, 100));
  t.equal(rig.pump.splicedBytes, 800);
  send(payload(9, 100));
  t.equal(rig.pump.splicedBytes, 800, 'the ninth is copied');
  t.equal(rig.pump.copiedBytes, 2 * BUFFER + 100);
  t.ok(rig.receiver.received.equals(Buffer.concat(sent)));
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: a large splice among small ones goes on splicing', async (t, kit) => {
  const rig = new PumpRig(kit);
  const sent = [startSplicing(rig)];
  let spliced = 0;
  for (let round = 0; round < 20; round++) {
    const size = round % 7 === 6 ? SMALL_SPLICE : 100;
    const bytes = payload(round, size);
    sent.push(bytes);
    spliced += size;
    rig.transfer(bytes, rig.receiver.receivedBytes + size);
  }
  t.equal(rig.pump.splicedBytes, spliced);
  t.equal(rig.pump.copiedBytes, 2 * BUFFER);
  t.ok(rig.receiver.received.equals(Buffer.concat(sent)));
  t.same(rig.finish(), nothingTaken);
});

socketTest(
  'pump: having gone back to copying, it splices again when reads are full',
  async (t, kit) => {
    const rig = new PumpRig(kit);
    startSplicing(rig);
    for (let index = 0; index < 9; index++) {
      rig.transfer(payload(index, 100), rig.receiver.receivedBytes + 100);
    }
    const { splicedBytes } = rig.pump;
    rig.transfer(payload(1, 50_000), rig.receiver.receivedBytes + 50_000);
    t.equal(rig.pump.splicedBytes, splicedBytes + 50_000 - 2 * BUFFER);
    t.same(rig.finish(), nothingTaken);
  },
);

socketTest('pump: a quiet pump owns neither pipe nor buffer', async (t, kit) => {
  const rig = new PumpRig(kit);
  startSplicing(rig);
  rig.transfer(payload(1, 100_000), rig.receiver.receivedBytes + 100_000);
  t.equal(rig.pump.isHolding, false);
  t.equal(rig.pipes.gauges.inUse, 0);
  t.equal(rig.buffers.inUse, 0);
  t.ok(rig.pipes.gauges.pooled > 0, 'the pipe waits for somebody else');
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: called for nothing, it makes no system call', async (t, kit) => {
  const rig = new PumpRig(kit);
  rig.settle();
  const before = rig.libc.trace.length;
  for (let times = 0; times < 10; times++) t.equal(rig.pump.run(), PumpResult.Waiting);
  t.equal(rig.libc.trace.length, before);
  t.same(rig.finish(), nothingTaken);
});

// A pipe counts slots, not bytes: one-byte segments fill it with a few hundred bytes. Taken for
// “the socket is empty”, that is a stall; taken for “try again”, a busy loop.
for (const segments of [300, 3000]) {
  socketTest(`pump: ${segments} queued one-byte segments do not stall a splice`, async (t, kit) => {
    const rig = new PumpRig(kit);
    startSplicing(rig);
    const bytes = payload(4, segments);
    const before = rig.receiver.receivedBytes;
    for (let index = 0; index < segments; index++) {
      if (rig.sender.send(bytes.subarray(index, index + 1)) !== 1) t.fail('the queue is full');
    }
    const calls = rig.libc.trace.length;
    rig.transfer(Buffer.alloc(0), before + segments);
    t.ok(rig.receiver.received.subarray(before).equals(bytes));
    t.ok(rig.libc.trace.length - calls < segments * 4 + 100, 'without a busy loop');
    t.same(rig.finish(), nothingTaken);
  });
}

socketTest('pump: bulk among one-byte segments does not stall either', async (t, kit) => {
  const rig = new PumpRig(kit, { pipeBytes: 4096 * 16 });
  startSplicing(rig);
  const sent: Buffer[] = [];
  const before = rig.receiver.receivedBytes;
  let total = 0;
  for (let round = 0; round < 30; round++) {
    const bytes = payload(round, round % 3 === 0 ? 40_000 : 50);
    sent.push(bytes);
    total += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const size = bytes.length === 50 ? 1 : bytes.length;
      at += rig.sender.send(bytes.subarray(at, at + size));
    }
    if (round % 5 === 4) rig.transfer(Buffer.alloc(0), before + total);
  }
  t.ok(rig.receiver.received.subarray(before).equals(Buffer.concat(sent)));
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: a pipe that is shorter than what waits does not stall', async (t, kit) => {
  const rig = new PumpRig(kit, { pipeBytes: 4096 });
  startSplicing(rig);
  const bytes = payload(5, 200_000);
  const before = rig.receiver.receivedBytes;
  rig.transfer(bytes, before + bytes.length);
  t.ok(rig.receiver.received.subarray(before).equals(bytes));
  t.same(rig.finish(), nothingTaken);
});

for (const errno of refusals) {
  const name = errnoName(errno);

  socketTest(`pump: a source that refuses with ${name} is copied, for good`, async (t, kit) => {
    const rig = new PumpRig(kit);
    rig.libc.script('splice', () => -errno);
    const bytes = payload(6, 200_000);
    rig.transfer(bytes);
    t.ok(rig.receiver.received.equals(bytes));
    t.equal(rig.pump.copiedBytes, bytes.length);
    t.equal(rig.libc.count('splice'), 1, 'asked once in its life');
    t.equal(rig.meterOf('Refused'), 1);
    t.equal(rig.source.errno, errno);
    t.equal(rig.pipes.gauges.pooled, 1, 'the pipe stayed empty and is good for others');
    t.same(rig.finish(), nothingTaken);
  });

  socketTest(`pump: a sink that refuses with ${name} loses nothing of the pipe`, async (t, kit) => {
    const rig = new PumpRig(kit);
    rig.libc.script('splice', (args, real) => (isSpliceOut(rig, args) ? -errno : real(...args)));
    const bytes = payload(7, 200_000);
    rig.transfer(bytes);
    t.ok(rig.receiver.received.equals(bytes));
    t.equal(rig.meterOf('Refused'), 1);
    t.equal(rig.meterOf('CopyBytes') + rig.meterOf('SpliceBytes'), bytes.length);
    t.equal(
      splices(rig.libc).filter(({ args }) => !isSpliceOut(rig, args)).length,
      1,
      'nothing goes into a pipe again',
    );
    t.equal(rig.sink.errno, errno);
    t.same(rig.finish(), nothingTaken);
  });

  socketTest(`pump: a sink that refuses with ${name} midway loses nothing`, async (t, kit) => {
    const rig = new PumpRig(kit);
    let out = 0;
    rig.libc.script('splice', (args, real) => {
      if (!isSpliceOut(rig, args)) return real(...args);
      // A part of the pipe goes out, then no more.
      return ++out === 1 ? real(...args.with(4, 5000)) : -errno;
    });
    const bytes = payload(8, 200_000);
    // A short splice is final on TCP until there is an event; a receiver that reads makes one.
    rig.sink.writable = true;
    let sent = 0;
    while (rig.receiver.receivedBytes < bytes.length) {
      sent += rig.sender.send(bytes.subarray(sent));
      rig.sink.writable = true;
      rig.turn(1);
      rig.receiver.receive();
    }
    t.ok(rig.receiver.received.equals(bytes));
    t.equal(rig.meterOf('CopyBytes') + rig.meterOf('SpliceBytes'), bytes.length);
    t.same(rig.finish(), nothingTaken);
  });
}

socketTest('pump: a sink that refuses and then blocks holds what it was given', async (t, kit) => {
  const rig = new PumpRig(kit);
  startSplicing(rig);
  const before = rig.receiver.receivedBytes;
  const bytes = payload(9, 40_000);
  rig.libc.script('splice', (args, real) =>
    isSpliceOut(rig, args) ? -Errno.EINVAL : real(...args),
  );
  rig.libc.script('send', () => -Errno.EAGAIN);
  rig.sender.send(bytes);
  t.equal(rig.settle(), PumpResult.Waiting);
  t.equal(rig.pump.isHolding, true);
  t.equal(rig.pipes.gauges.inUse, 1, 'the rest of the pipe');
  t.equal(rig.buffers.inUse, 1, 'its first part, on the way out');
  rig.libc.script('send');
  rig.sink.writable = true;
  rig.transfer(Buffer.alloc(0), before + bytes.length);
  t.ok(rig.receiver.received.subarray(before).equals(bytes));
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: released between refusing and draining, it gives both back', async (t, kit) => {
  const rig = new PumpRig(kit);
  startSplicing(rig);
  rig.libc.script('splice', (args, real) =>
    isSpliceOut(rig, args) ? -Errno.EINVAL : real(...args),
  );
  rig.libc.script('send', () => -Errno.EAGAIN);
  rig.sender.send(payload(9, 40_000));
  rig.settle();
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: without a pipe to be had it copies, and asks again later', async (t, kit) => {
  const rig = new PumpRig(kit);
  rig.libc.script('pipe2', () => -Errno.EMFILE);
  const bytes = payload(10, 200_000);
  rig.transfer(bytes);
  t.ok(rig.receiver.received.equals(bytes));
  t.equal(rig.pump.splicedBytes, 0);
  t.ok(rig.meterOf('NoPipe') > 0);
  t.equal(rig.libc.count('pipe2'), 1, 'one try a second');
  rig.libc.script('pipe2');
  rig.clock.nowMs += 1000;
  rig.transfer(bytes, 2 * bytes.length);
  t.ok(rig.receiver.received.subarray(bytes.length).equals(bytes));
  t.ok(rig.pump.splicedBytes > 100_000, 'now there is one');
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: at the limit of pipe memory it copies', async (t, kit) => {
  const rig = new PumpRig(kit, { pipeMemoryBytes: 1 });
  const bytes = payload(11, 100_000);
  rig.transfer(bytes);
  t.ok(rig.receiver.received.equals(bytes));
  t.equal(rig.libc.count('pipe2'), 0);
  t.equal(rig.pump.copiedBytes, bytes.length);
  t.same(rig.finish(), nothingTaken);
});

for (const family of families) {
  for (const limit of [1, 100, BUFFER, BUFFER + 1, 2 * BUFFER, 2 * BUFFER + 1, 70_000, 150_001]) {
    socketTest(`pump: a limit of ${limit} bytes is exact (${family})`, async (t, kit) => {
      const rig = new PumpRig(kit, { family });
      const bytes = payload(12, 200_000);
      rig.pump.remainingBytes = limit;
      t.equal(rig.transfer(bytes.subarray(0, 180_000), limit, true), PumpResult.Ended);
      t.equal(rig.receiver.receivedBytes, limit);
      t.ok(rig.receiver.received.equals(bytes.subarray(0, limit)));
      t.equal(rig.pump.remainingBytes, 0);
      t.equal(rig.pump.copiedBytes + rig.pump.splicedBytes, limit);
      t.equal(rig.pump.sourceEnded, false, 'what follows is somebody else’s');
      const read = rig.libc.trace.length;
      t.equal(rig.turn(), PumpResult.Ended);
      t.equal(rig.libc.trace.length, read, 'and not a byte of it is looked at');
      // The next limit begins where this one ended.
      rig.pump.remainingBytes = 500;
      rig.source.readable = true;
      rig.settle();
      rig.receiver.receive();
      t.ok(rig.receiver.received.equals(bytes.subarray(0, limit + 500)));
      t.same(rig.finish(), nothingTaken);
    });
  }
}

socketTest('pump: a source that ends before the limit has ended', async (t, kit) => {
  const rig = new PumpRig(kit);
  rig.pump.remainingBytes = 1000;
  const bytes = payload(13, 900);
  t.equal(rig.transfer(bytes, 900, true), PumpResult.Ended);
  t.equal(rig.pump.sourceEnded, true);
  t.equal(rig.pump.remainingBytes, 100, 'which tells a whole body from a torn one');
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: a limit of nothing is reached at once', async (t, kit) => {
  const rig = new PumpRig(kit);
  rig.pump.remainingBytes = 0;
  rig.look();
  t.equal(rig.pump.run(), PumpResult.Ended);
  t.equal(rig.libc.trace.length, 0);
  t.same(rig.finish(), nothingTaken);
});

for (const mode of ['copying', 'splicing'] as const) {
  socketTest(`pump: moves no more than its budget in a turn (${mode})`, async (t, kit) => {
    const rig = new PumpRig(kit, { bufferBytes: 32 * 1024 });
    // A source that never ends and a sink that takes all.
    rig.libc.script('recv', (args) => args[2]!);
    rig.libc.script('send', (args) => args[2]!);
    const refused = mode === 'copying';
    rig.libc.script('splice', (args) => (refused ? -Errno.EINVAL : args[4]!));
    rig.source.readable = true;
    rig.sink.writable = true;
    let last = 0;
    for (let turn = 0; turn < 5; turn++) {
      t.equal(rig.pump.run(), PumpResult.Yielded);
      const moved = rig.pump.copiedBytes + rig.pump.splicedBytes - last;
      last += moved;
      t.ok(moved >= TURN_BYTES_MAX && moved < TURN_BYTES_MAX + 65536, `${moved}`);
      t.equal(rig.pump.isHolding, false, 'what it read it has delivered');
    }
    t.same(rig.finish(), nothingTaken);
  });
}

socketTest('pump: small reads are counted, too', async (t, kit) => {
  let reads = 0;
  const rig = new PumpRig(kit, {
    // A source that gives a byte at a time, and always has another one.
    transport: (kernel, fd, isTcp) =>
      Object.assign(new PlainTransport(kernel, fd, isTcp), {
        read: () => {
          reads++;
          return 1;
        },
      }),
  });
  rig.libc.script('send', (args) => args[2]!);
  rig.source.readable = true;
  rig.sink.writable = true;
  for (let turn = 1; turn < 4; turn++) {
    t.equal(rig.pump.run(), PumpResult.Yielded);
    t.equal(reads, turn * 256);
    t.equal(rig.pump.copiedBytes, reads, 'what it read it has delivered');
  }
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: a budget used up by the last byte is no reason to come back', async (t, kit) => {
  const rig = new PumpRig(kit, { bufferBytes: 32 * 1024 });
  rig.pump.remainingBytes = TURN_BYTES_MAX;
  rig.libc.script('recv', (args) => args[2]!);
  rig.libc.script('send', (args) => args[2]!);
  rig.libc.script('splice', (args) => args[4]!);
  rig.source.readable = true;
  rig.sink.writable = true;
  t.equal(rig.pump.run(), PumpResult.Ended);
  t.same(rig.finish(), nothingTaken);
});

for (const family of families) {
  for (const shortest of [1, 7, 5000]) {
    socketTest(`pump: writes of ${shortest} bytes lose nothing (${family})`, async (t, kit) => {
      const rig = new PumpRig(kit, { family });
      rig.libc.script('send', (args, real) => real(...args.with(2, Math.min(args[2]!, shortest))));
      rig.libc.script('splice', (args, real) =>
        isSpliceOut(rig, args)
          ? real(...args.with(4, Math.min(args[4]!, shortest * 7)))
          : real(...args),
      );
      const bytes = payload(14, shortest === 1 ? 30_000 : 100_000);
      let sent = 0;
      while (rig.receiver.receivedBytes < bytes.length) {
        sent += rig.sender.send(bytes.subarray(sent));
        // A kernel that takes less than it was given has no room: its event is made here.
        rig.sink.writable = true;
        rig.turn();
        rig.receiver.receive();
      }
      t.ok(rig.receiver.received.equals(bytes));
      t.equal(rig.meterOf('CopyBytes') + rig.meterOf('SpliceBytes'), bytes.length);
      t.same(rig.finish(), nothingTaken);
    });
  }
}

for (const mode of ['copying', 'splicing'] as const) {
  socketTest(
    `pump: end of file drains what is held before it says so (${mode})`,
    async (t, kit) => {
      const rig = new PumpRig(kit);
      if (mode === 'splicing') startSplicing(rig);
      const before = rig.receiver.receivedBytes;
      rig.settle();
      blockSink(rig);
      const bytes = payload(15, 5000);
      rig.sender.send(bytes);
      rig.sender.end();
      for (let times = 0; times < 5; times++) {
        t.equal(rig.turn(times === 0 ? 100 : 0), PumpResult.Waiting, 'the sink has not got it');
      }
      t.equal(rig.pump.isHolding, true);
      t.equal(rig.pipes.gauges.inUse, mode === 'splicing' ? 1 : 0);
      t.equal(rig.buffers.inUse, mode === 'splicing' ? 0 : 1, 'one or the other, never both');
      unblockSink(rig);
      t.equal(rig.settle(), PumpResult.Ended);
      t.equal(rig.pump.sourceEnded, true);
      rig.receiver.receive();
      t.ok(rig.receiver.received.subarray(before).equals(bytes));
      t.equal(rig.pump.run(), PumpResult.Ended, 'and goes on saying so');
      t.same(rig.finish(), nothingTaken);
    },
  );

  socketTest(`pump: reads nothing while it holds something (${mode})`, async (t, kit) => {
    const rig = new PumpRig(kit);
    if (mode === 'splicing') startSplicing(rig);
    rig.settle();
    blockSink(rig);
    rig.sender.send(payload(16, 3000));
    rig.turn(100);
    const held = rig.pump.copiedBytes + rig.pump.splicedBytes;
    rig.sender.send(payload(17, 3000));
    rig.turn(100);
    rig.turn();
    t.equal(rig.pump.copiedBytes + rig.pump.splicedBytes, held, 'a slow reader slows its writer');
    unblockSink(rig);
    rig.transfer(Buffer.alloc(0), rig.receiver.receivedBytes + 6000);
    t.same(rig.finish(), nothingTaken);
  });

  socketTest(
    `pump: a source that breaks has its last words delivered (${mode})`,
    async (t, kit) => {
      const rig = new PumpRig(kit);
      if (mode === 'splicing') startSplicing(rig);
      const before = rig.receiver.receivedBytes;
      const bytes = payload(18, 5000);
      rig.sender.send(bytes);
      rig.sender.reset();
      t.equal(rig.turn(100), PumpResult.SourceFailed);
      t.equal(rig.source.errno, Errno.ECONNRESET);
      rig.receiver.receive();
      t.ok(rig.receiver.received.subarray(before).equals(bytes));
      t.equal(rig.pump.isHolding, false);
      t.same(rig.finish(), nothingTaken);
    },
  );

  socketTest(
    `pump: a source that breaks while the sink is full says so after (${mode})`,
    async (t, kit) => {
      const rig = new PumpRig(kit);
      if (mode === 'splicing') startSplicing(rig);
      const before = rig.receiver.receivedBytes;
      rig.settle();
      blockSink(rig);
      const bytes = payload(19, 5000);
      rig.sender.send(bytes);
      rig.turn(100);
      rig.sender.reset();
      t.equal(rig.turn(100), PumpResult.Waiting);
      unblockSink(rig);
      t.equal(rig.settle(), PumpResult.SourceFailed);
      rig.receiver.receive();
      t.ok(rig.receiver.received.subarray(before).equals(bytes));
      t.same(rig.finish(), nothingTaken);
    },
  );

  socketTest(
    `pump: a sink that breaks is reported, and nothing is kept (${mode})`,
    async (t, kit) => {
      const rig = new PumpRig(kit);
      if (mode === 'splicing') startSplicing(rig);
      rig.settle();
      blockSink(rig);
      rig.sender.send(payload(20, 5000));
      rig.turn(100);
      t.equal(rig.pump.isHolding, true);
      unblockSink(rig);
      rig.receiver.reset();
      t.equal(rig.turn(100), PumpResult.SinkFailed);
      t.ok([Errno.ECONNRESET, Errno.EPIPE].includes(rig.sink.errno as never), `${rig.sink.errno}`);
      rig.pump.release();
      t.equal(rig.pump.isHolding, false);
      t.equal(rig.pipes.gauges.pooled, 0, 'a pipe with bytes in it is not for others');
      t.same(rig.finish(), nothingTaken);
    },
  );
}

for (const [call, name] of [
  ['recv', 'source'],
  ['send', 'sink'],
] as const) {
  socketTest(
    `pump: what the ${name} answers besides is a failure, by its number`,
    async (t, kit) => {
      for (const errno of [Errno.ENOMEM, Errno.ETIMEDOUT, Errno.EIO, Errno.ENOTCONN]) {
        const rig = new PumpRig(kit);
        rig.settle();
        rig.sender.send(Buffer.from('x'));
        rig.libc.fail(call, errno);
        const expected = call === 'recv' ? PumpResult.SourceFailed : PumpResult.SinkFailed;
        t.equal(rig.turn(100), expected);
        t.equal((call === 'recv' ? rig.source : rig.sink).errno, errno);
        t.same(rig.finish(), nothingTaken);
      }
    },
  );
}

socketTest('pump: urgent data keeps its place and does not stall a splice', async (t, kit) => {
  const rig = new PumpRig(kit);
  startSplicing(rig);
  const before = rig.receiver.receivedBytes;
  const bytes = payload(21, 60_000);
  const send = (from: number, to: number): void => {
    t.equal(rig.sender.send(bytes.subarray(from, to)), to - from);
  };
  send(0, 20_000);
  rig.sender.sendUrgent(bytes[20_000]!);
  send(20_001, 40_000);
  rig.transfer(Buffer.alloc(0), before + 40_000);
  rig.sender.sendUrgent(bytes[40_000]!);
  send(40_001, 60_000);
  rig.transfer(Buffer.alloc(0), before + 60_000);
  t.ok(rig.receiver.received.subarray(before).equals(bytes));
  rig.sender.end();
  t.equal(rig.turn(100), PumpResult.Ended);
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: SPLICE_F_MORE is said only while a limit knows of more', async (t, kit) => {
  const rig = new PumpRig(kit);
  const bytes = payload(22, 300_000);
  rig.transfer(bytes);
  for (const { args } of splices(rig.libc)) {
    t.equal(args[5]! & Splice.SPLICE_F_MORE, 0, 'a tunnel never knows');
  }
  rig.libc.trace.length = 0;
  rig.pump.remainingBytes = 300_000;
  rig.transfer(bytes, 600_000);
  const out = splices(rig.libc).filter(({ args, result }) => isSpliceOut(rig, args) && result > 0);
  t.equal(out.at(-1)!.args[5]! & Splice.SPLICE_F_MORE, 0, 'never with the last bytes');
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: a splice never asks for more than the pipe or the limit', async (t, kit) => {
  const rig = new PumpRig(kit);
  rig.pump.remainingBytes = 100_000;
  rig.transfer(payload(23, 120_000), 100_000);
  for (const { args } of splices(rig.libc)) t.ok(args[4]! > 0 && args[4]! <= 65536, `${args[4]}`);
  t.same(rig.finish(), nothingTaken);
});

socketTest('pump: meters add up to the bytes and the calls', async (t, kit) => {
  const rig = new PumpRig(kit);
  rig.libc.trace.length = 0;
  const bytes = payload(24, 700_000);
  rig.transfer(bytes, bytes.length, true);
  const reads = rig.libc.trace.filter(({ name, result }) => name === 'recv' && result > 0);
  const fills = splices(rig.libc).filter(
    ({ args, result }) => !isSpliceOut(rig, args) && result > 0,
  );
  const sum = (calls: Traced[]): number => calls.reduce((total, { result }) => total + result, 0);
  t.equal(rig.meterOf('CopyOperations'), reads.length);
  t.equal(rig.meterOf('CopyBytes'), sum(reads));
  t.equal(rig.meterOf('SpliceOperations'), fills.length);
  t.equal(rig.meterOf('SpliceBytes'), sum(fills));
  t.equal(rig.meterOf('CopyBytes') + rig.meterOf('SpliceBytes'), bytes.length);
  t.equal(rig.pump.copiedBytes, rig.meterOf('CopyBytes'));
  t.equal(rig.pump.splicedBytes, rig.meterOf('SpliceBytes'));
  const blocked = rig.libc.trace.filter(
    ({ name, args, result }) =>
      result === -Errno.EAGAIN &&
      (name === 'recv' || (name === 'splice' && !isSpliceOut(rig, args))),
  );
  t.equal(rig.meterOf('SourceBlocked'), blocked.length);
  t.equal(rig.meterOf('Refused') + rig.meterOf('NoPipe'), 0);
  t.same(rig.finish(), nothingTaken);
});

/** One pump under random readers, writers, limits and short answers. */
function randomTransfer(rig: PumpRig, random: Random): boolean {
  const bytes = payload(random.between(1, 1e6), random.between(1, 400_000));
  const limit = random.oneIn(3) ? random.between(0, bytes.length) : Number.POSITIVE_INFINITY;
  const expected = bytes.subarray(0, Math.min(limit, bytes.length));
  rig.pump.remainingBytes = limit;
  let sent = 0;
  let isEnded = false;
  for (let step = 0; step < 100_000; step++) {
    if (random.oneIn(2) && sent < bytes.length) {
      const size = random.oneIn(3) ? random.between(1, 50) : random.between(1, 100_000);
      sent += rig.sender.send(bytes.subarray(sent, sent + size));
    }
    if (sent === bytes.length && !isEnded) {
      isEnded = true;
      rig.sender.end();
    }
    const result = rig.turn(random.oneIn(10) && isEnded ? 1 : 0);
    if (result === PumpResult.Ended) {
      rig.receiver.receive();
      return rig.receiver.received.equals(expected);
    }
    if (result !== PumpResult.Waiting && result !== PumpResult.Yielded) return false;
    if (random.oneIn(2)) rig.receiver.receive(random.between(1, 200_000));
  }
  return false;
}

const seed = Random.seed();
for (const family of families) {
  socketTest(
    `pump: any pace of writer and reader gives the same bytes (${family})`,
    async (t, kit) => {
      for (let round = 0; round < 25; round++) {
        const random = new Random(seed + round);
        const rig = new PumpRig(kit, {
          family,
          bufferBytes: random.pick([512, 4096, 32768]),
          pipeBytes: random.pick([4096, 65536, 262144]),
        });
        t.ok(randomTransfer(rig, random), `SEED=${seed + round}`);
        t.same(rig.finish(), nothingTaken);
      }
    },
  );
}

socketTest('pump: a splice that a signal cuts short is followed by another', async (t, kit) => {
  // A pending signal (a profiler's, a debugger's, a frozen control group's) ends splice(2) early with
  // what has moved so far. The socket has room all the time, so no edge is ever raised for it.
  const rig = new PumpRig(kit);
  startSplicing(rig);
  const before = rig.receiver.receivedBytes;
  let cut = 0;
  rig.libc.script('splice', (args, real) => {
    if (!isSpliceOut(rig, args) || ++cut > 3) return real(...args);
    return real(...args.with(4, 1000));
  });
  const bytes = payload(25, 30_000);
  rig.transfer(bytes, before + bytes.length);
  t.ok(rig.receiver.received.subarray(before).equals(bytes));
  t.same(rig.finish(), nothingTaken);
});

socketTest(
  'pump: a source that pauses within a limit holds nothing of the sink’s back',
  async (t, kit) => {
    const rig = new PumpRig(kit, { pipeBytes: 16384 });
    rig.pump.remainingBytes = 1_000_000;
    const before = startSplicing(rig).length;
    // Exactly a pipe's capacity: whether more is queued nobody has asked.
    rig.sender.send(payload(26, 16384));
    rig.turn(100);
    rig.turn();
    pause(50);
    rig.receiver.receive();
    t.equal(rig.receiver.receivedBytes - before, 16384);
    t.same(rig.finish(), nothingTaken);
  },
);
