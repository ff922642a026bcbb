import type { Test } from 'tap';
import {
  createKernel,
  createPumpRoom,
  Epoll,
  Errno,
  EventPoll,
  PAIR_EVENTS,
  PairResult,
  PlainTransport,
  PumpPair,
  PumpSlot,
} from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { payload, Random } from '#test/support/random.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import {
  expectReset,
  pause,
  type SocketKit,
  socketTest,
} from '#test/support/sockets/socket-kit.js';

const DEADLINE_MS = 5000;

/** A pair between two real connections; the test speaks at `left` and `right`. */
class PairRig {
  readonly libc = new ScriptedLibc();
  readonly room = createPumpRoom(createKernel(this.libc));
  readonly left: RawPeer;
  readonly right: RawPeer;
  readonly pair: PumpPair;
  /** After each turn both sides are ready, as a kernel promises behind a call that did less. */
  hasEdges = false;
  private readonly poll: EventPoll;

  constructor(
    private readonly kit: SocketKit,
    family: 'inet' | 'unix' = 'inet',
  ) {
    const [one, other] = [kit.pair(family), kit.pair(family)];
    this.left = one.far;
    this.right = other.far;
    const { kernel } = this.room;
    const sides = [one.near, other.near].map(
      (fd) => new PlainTransport(kernel, kit.disown(fd), family === 'inet'),
    );
    this.pair = new PumpPair(this.room, sides[0]!, sides[1]!);
    this.poll = new EventPoll(kit.kernel, 8);
    kit.own(this.poll.fd);
    for (const fd of [one.near, other.near]) this.poll.add(fd, PAIR_EVENTS, 0);
  }

  turn(): PairResult {
    const count = this.poll.wait(0);
    for (let index = 0; index < count; index++) {
      this.pair.notice(this.poll.fdAt(index), this.poll.eventsAt(index));
    }
    if (this.hasEdges) {
      for (const side of [this.pair.one, this.pair.other]) {
        this.pair.notice(side.fd, Epoll.EPOLLIN | Epoll.EPOLLOUT);
      }
    }
    return this.pair.run();
  }

  /** Turns until something is so. @throws when it never is */
  until(isSo: () => boolean): void {
    const deadline = Date.now() + DEADLINE_MS;
    while (!isSo()) {
      this.turn();
      if (Date.now() > deadline) throw new Error(`not so: ${isSo}`);
      pause(0.1);
    }
  }

  /** Both say everything at once, and hear everything. */
  exchange(fromLeft: Buffer, fromRight: Buffer): void {
    const { left, right } = this;
    const [wantedRight, wantedLeft] = [
      right.receivedBytes + fromLeft.length,
      left.receivedBytes + fromRight.length,
    ];
    let [sentLeft, sentRight] = [0, 0];
    this.until(() => {
      sentLeft += left.send(fromLeft.subarray(sentLeft));
      sentRight += right.send(fromRight.subarray(sentRight));
      left.receive();
      right.receive();
      return right.receivedBytes === wantedRight && left.receivedBytes === wantedLeft;
    });
  }

  finish(t: Test, result: PairResult): void {
    this.until(() => this.pair.result !== PairResult.Yielded);
    t.equal(this.pair.result, result);
    this.pair.close();
    this.room.pipes.releaseIdle();
    t.same([this.room.buffers.inUse, this.room.pipes.gauges.inUse], [0, 0]);
    this.kit.close(this.poll.fd);
  }
}

const isEnd = (peer: RawPeer) => () => peer.receive() === 0 && peer.isEnded;

for (const family of ['inet', 'unix'] as const) {
  socketTest(`pair: both ways, one end after the other (${family})`, async (t, kit) => {
    const rig = new PairRig(kit, family);
    const { left, right, pair } = rig;
    const [much, little] = [payload(1, 12_000_000), payload(2, 3000)];
    rig.exchange(much, little);
    left.end();
    rig.until(isEnd(right));
    t.equal(pair.result, PairResult.Waiting, 'the other may go on');
    rig.exchange(Buffer.alloc(0), much);
    right.end();
    rig.until(isEnd(left));
    t.ok(right.received.equals(much));
    t.ok(left.received.equals(Buffer.concat([little, much])));
    rig.until(() => pair.result === PairResult.Ended);
    t.ok(pair.meter[PumpSlot.SpliceBytes]! > 10_000_000);
    rig.finish(t, PairResult.Ended);
  });
}

socketTest('pair: who breaks takes the other along, behind its last bytes', async (t, kit) => {
  const rig = new PairRig(kit);
  rig.exchange(payload(3, 100), payload(4, 100));
  rig.left.send(Buffer.from('last words'));
  rig.left.reset();
  rig.until(() => rig.pair.result === PairResult.Broken);
  rig.right.receive();
  t.equal(rig.right.received.toString('latin1', 100), 'last words');
  rig.finish(t, PairResult.Broken);
  expectReset(t, kit, rig.right.fd);
});

socketTest('pair: the last words of one that takes no more', async (t, kit) => {
  const rig = new PairRig(kit);
  const { left, right, pair } = rig;
  rig.exchange(payload(3, 100), payload(4, 100));
  // It says why, and goes: what it is sent from now on meets a reset.
  right.send(Buffer.from('no more of this'));
  rig.libc.script('send', (args, real) =>
    args[0] === pair.other.fd ? -Errno.EPIPE : real(...args),
  );
  left.send(payload(5, 1000));
  rig.until(() => left.receive() > 0 || left.receivedBytes > 100);
  t.equal(left.received.toString('latin1', 100), 'no more of this');
  right.end();
  rig.until(() => pair.result === PairResult.Broken);
  rig.finish(t, PairResult.Broken);
  expectReset(t, kit, left.fd);
});

socketTest(
  'pair: a reset of one that has said its end, and that nothing is sent',
  async (t, kit) => {
    const rig = new PairRig(kit);
    const { left, right, pair } = rig;
    left.end();
    rig.until(isEnd(right));
    left.reset();
    rig.until(() => pair.result === PairResult.Broken);
    rig.finish(t, PairResult.Broken);
    // It had an end already: the reset is what its next words meet.
    right.send(Buffer.from('hello?'));
    t.not(right.errno, 0);
  },
);

socketTest('pair: a reset while its bytes wait for the other', async (t, kit) => {
  const rig = new PairRig(kit);
  const { left, right, pair } = rig;
  const much = payload(6, 20_000_000);
  let sent = 0;
  // Until nobody takes any more.
  for (let turn = 0; turn < 200; turn++) {
    sent += left.send(much.subarray(sent));
    rig.turn();
  }
  t.ok(sent < much.length, 'the other one reads nothing');
  left.reset();
  rig.until(() => {
    right.receive();
    return pair.result === PairResult.Broken;
  });
  right.receive();
  t.ok(right.receivedBytes > 100_000);
  t.ok(right.received.equals(much.subarray(0, right.receivedBytes)));
  rig.finish(t, PairResult.Broken);
});

const seed = Random.seed();
socketTest(`pair: calls that do less than they could (SEED=${seed})`, async (t, kit) => {
  const random = new Random(seed);
  const rig = new PairRig(kit);
  const { libc, left, right } = rig;
  let faults = 0;
  for (const [call, lengthAt] of [
    ['recv', 2],
    ['send', 2],
    ['splice', 4],
  ] as const) {
    libc.script(call, (args, real) => {
      if (random.oneIn(2)) return real(...args);
      faults++;
      if (random.oneIn(3)) return -Errno.EINTR;
      if (random.oneIn(3)) return -Errno.EAGAIN;
      return real(...args.with(lengthAt, Math.ceil(args[lengthAt]! / 3)));
    });
  }
  rig.hasEdges = true;
  const [one, other] = [payload(7, 3_000_000), payload(8, 2_000_000)];
  rig.exchange(one, other);
  left.end();
  rig.until(isEnd(right));
  right.end();
  rig.until(isEnd(left));
  t.ok(right.received.equals(one));
  t.ok(left.received.equals(other));
  t.ok(faults > 20, `${faults} faults`);
  rig.finish(t, PairResult.Ended);
});
