import { EVENTS_MAX, type EventHandler, EventLoop } from '#src/proxy/event-loop.js';
import { COUNTER_REGION_BYTES, Counter, Counters } from '#src/proxy/index.js';
import { Timer } from '#src/proxy/timer-wheel.js';
import { TurnCalls } from '#src/proxy/turn-calls.js';
import {
  BufferPool,
  createKernel,
  Errno,
  type LateWriter,
  NativeMemory,
  PAIR_EVENTS,
  type ReaderAhead,
  SerialBatch,
  Splice,
} from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

/** A loop whose handlers share their calls, turned by hand. */
class Rig {
  readonly libc = new ScriptedLibc();
  readonly counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
  readonly buffers = new BufferPool(1024);
  readonly kernel = createKernel(this.libc);
  readonly batch: SerialBatch;
  readonly calls: TurnCalls;
  readonly loop: EventLoop;
  nowMs = 1000;

  constructor(
    readonly kit: SocketKit,
    capacity = EVENTS_MAX,
    worthFrom = 1,
  ) {
    this.batch = new SerialBatch(this.kernel, capacity, worthFrom);
    this.calls = new TurnCalls(this.batch, this.counters);
    this.loop = new EventLoop(this.kernel, this.counters, () => {}, {
      clock: () => this.nowMs,
      calls: this.calls,
    });
    this.libc.script('epoll_wait', (args, real) => real(...args.with(3, 0)));
    for (const { name, result } of this.libc.trace) {
      if (name === 'epoll_create1' || name === 'timerfd_create') kit.own(result);
    }
  }

  /** Parties whose first events, that there is room, have been heard. */
  parties(count: number, serve: (party: Party) => void = () => {}): Party[] {
    const parties = Array.from({ length: count }, () => new Party(this));
    while (parties.some(({ events }) => events.length === 0)) this.loop.turn();
    this.forget();
    for (const party of parties) {
      party.events.length = 0;
      party.serve = serve;
    }
    return parties;
  }

  /** Closes a connection. @returns another one, which has got its descriptor */
  replace(party: Party): Party {
    const { near, far } = this.kit.pair();
    party.close();
    const same = this.kernel.fcntl(near, Splice.F_DUPFD_CLOEXEC, party.fd);
    this.kit.own(same);
    this.kit.close(near);
    return new Party(this, () => {}, { near: same, far });
  }

  /** What has been traced and counted so far. */
  forget(): void {
    this.libc.trace.length = 0;
    this.counters.values.fill(0);
  }

  count(name: keyof typeof Counter): number {
    return this.counters.values[Counter[name]]!;
  }

  /** The calls of sockets, in order: `recv`, `send`, `close`. */
  get made(): string {
    const names = this.libc.trace.map(({ name }) => name);
    return names.filter((name) => /^(recv|send|close)$/.test(name)).join(' ');
  }
}

/** One connection: what it hears is read ahead, what it says is written late, where that may be. */
class Party implements EventHandler, ReaderAhead, LateWriter {
  generation = 0;
  readonly fd: number;
  readonly far: RawPeer;
  readonly events: number[] = [];
  readonly errors: unknown[] = [];
  /** What was read for it, or the error number. */
  readonly heard: (string | number)[] = [];
  readonly written: number[] = [];
  ticket = -1;
  private readonly words = new NativeMemory(100);

  constructor(
    private readonly rig: Rig,
    public serve: (party: Party) => void = () => {},
    { near, far } = rig.kit.pair(),
  ) {
    this.fd = near;
    this.far = far;
    rig.loop.register(near, PAIR_EVENTS, this);
  }

  readAhead(calls: TurnCalls): void {
    const buffer = this.rig.buffers.take();
    calls.readAhead(this.fd, buffer, buffer.address, buffer.byteLength, this);
  }

  hasReadAhead(buffer: NativeMemory, result: number): void {
    const { bytes, start } = buffer;
    this.heard.push(result > 0 ? bytes.toString('latin1', start, start + result) : result);
    this.rig.buffers.give(buffer);
  }

  onEvents(events: number): void {
    this.events.push(events);
    this.serve(this);
  }

  /** @returns false where it went at once */
  say(text: string): boolean {
    const { words, rig } = this;
    const length = words.bytes.write(text);
    const isLate = rig.calls.isOpen;
    if (isLate) this.ticket = rig.calls.add(this.fd, words.address, length, this);
    else this.written.push(rig.kernel.send(this.fd, words.address, length, 0));
    return isLate;
  }

  onWritten(result: number): void {
    this.written.push(result);
  }

  onException(error: unknown): void {
    this.errors.push(error);
  }

  close(): void {
    this.rig.loop.forget(this.fd);
    this.rig.kit.close(this.fd);
  }

  /** Ends the connection. @returns whether it is closed later in this turn */
  leave(): boolean {
    const { rig, fd } = this;
    rig.loop.forget(fd);
    const isLate = rig.calls.closeLate(fd);
    if (isLate) rig.kit.disown(fd);
    else rig.kit.close(fd);
    return isLate;
  }

  get answer(): string {
    this.far.receive();
    return this.far.received.toString();
  }
}

socketTest('turn calls: all reads, then all handlers, then all writes', async (t, kit) => {
  const rig = new Rig(kit);
  const parties = rig.parties(3);
  for (const [index, party] of parties.entries()) {
    party.far.send(Buffer.from(`question ${index}`));
    party.serve = () => {
      t.equal(rig.made, 'recv recv recv', 'when it is served all bytes are there');
      t.ok(party.say(`answer ${index}`));
      t.equal(rig.batch.size, index + 1, 'and nothing has been written');
    };
  }
  rig.loop.turn();
  t.equal(rig.made, 'recv recv recv send send send');
  t.same(
    parties.map(({ heard, answer, written, events }) => [heard, answer, written, events.length]),
    [0, 1, 2].map((index) => [[`question ${index}`], `answer ${index}`, [8], 1]),
  );
  t.same([rig.count('batches'), rig.count('batched_calls')], [2, 6]);
  t.equal(rig.buffers.inUse, 0);
  rig.forget();
  rig.loop.turn();
  t.same([rig.made, rig.count('batches')], ['', 0], 'a turn without events has none');
});

socketTest('turn calls: below what is worth it each makes its own', async (t, kit) => {
  const rig = new Rig(kit, EVENTS_MAX, 2);
  const [one, other] = rig.parties(2) as [Party, Party];
  one.serve = other.serve = (party) => void party.say('x');
  one.far.send(Buffer.from('?'));
  rig.loop.turn();
  t.same([one.heard, one.answer, rig.made], [[], 'x', 'send']);
  t.equal(rig.count('batches'), 0);
  one.far.send(Buffer.from('?'));
  other.far.send(Buffer.from('?'));
  rig.loop.turn();
  t.same([one.heard, other.heard], [['??'], ['?']]);
  t.equal(rig.count('batches'), 2);
});

socketTest('turn calls: only bytes are read ahead', async (t, kit) => {
  const rig = new Rig(kit);
  const [bytes, end, urgent, broken] = rig.parties(4) as Party[];
  let madeBefore = '';
  bytes!.serve = () => void bytes!.say('answer');
  end!.serve = () => (madeBefore = rig.made);
  bytes!.far.send(Buffer.from('bytes'));
  end!.far.send(Buffer.from('last'));
  end!.far.end();
  urgent!.far.sendUrgent(33);
  broken!.far.reset();
  pause(1);
  rig.loop.turn();
  t.same(
    [bytes, end, urgent, broken].map((party) => party!.heard),
    [['bytes'], [], [], []],
  );
  t.equal(rig.made, 'recv send');
  t.equal(madeBefore, 'recv send', 'who has something else to do keeps nobody waiting');
  t.ok([bytes, end, urgent, broken].every((party) => party!.events.length === 1));
});

socketTest('turn calls: a read that finds nothing says so', async (t, kit) => {
  const rig = new Rig(kit);
  const [early, other] = rig.parties(2) as [Party, Party];
  early.far.send(Buffer.from('x'));
  other.far.send(Buffer.from('y'));
  rig.libc.fail('recv', Errno.EAGAIN, Errno.ECONNRESET);
  rig.loop.turn();
  t.same([early.heard, other.heard], [[-Errno.EAGAIN], [-Errno.ECONNRESET]]);
  t.same([early.events.length, other.events.length], [1, 1]);
});

socketTest(
  'turn calls: whose connection was closed by an earlier event has no later one',
  async (t, kit) => {
    const rig = new Rig(kit);
    const [closer, closed] = rig.parties(2) as [Party, Party];
    let newcomer: Party | undefined;
    closer.serve = () => {
      newcomer = rig.replace(closed);
    };
    closer.far.send(Buffer.from('1'));
    closed.far.send(Buffer.from('2'));
    rig.loop.turn();
    t.equal(newcomer!.fd, closed.fd, 'its number is somebody else’s');
    t.same([closed.heard, closed.events], [['2'], []], 'it has its bytes, to give back');
    t.same([newcomer!.heard, newcomer!.events], [[], []], 'which are not the newcomer’s');
    t.equal(rig.count('events_stale'), 1);
    closer.serve = () => {};
    newcomer!.far.send(Buffer.from('3'));
    rig.loop.turn();
    t.same(newcomer!.heard, ['3']);
  },
);

socketTest('turn calls: what is withdrawn is written to nobody', async (t, kit) => {
  const rig = new Rig(kit);
  const [speaker, closer, third] = rig.parties(3, (party) => void party.say('words')) as [
    Party,
    Party,
    Party,
  ];
  let newcomer: Party | undefined;
  closer.serve = () => {
    t.equal(rig.calls.withdraw(speaker.ticket), undefined, 'it has not been made');
    newcomer = rig.replace(speaker);
  };
  for (const party of [speaker, closer, third]) party.far.send(Buffer.from('?'));
  rig.loop.turn();
  t.equal(newcomer!.fd, speaker.fd);
  t.same([speaker.written, speaker.answer, newcomer!.answer], [[], '', '']);
  t.same([third.written, third.answer], [[5], 'words']);
  speaker.far.receive();
  t.equal(speaker.far.isEnded, true, 'closed, and nothing before that');
});

socketTest('turn calls: a handler that throws takes only its own write along', async (t, kit) => {
  const rig = new Rig(kit);
  const parties = rig.parties(3, (party) => void party.say('words')) as [Party, Party, Party];
  const [, thrower] = parties;
  thrower.serve = () => {
    thrower.say('unsaid');
    throw new Error('boom');
  };
  thrower.onException = (error) => {
    thrower.errors.push(error);
    rig.calls.withdraw(thrower.ticket);
  };
  for (const party of parties) party.far.send(Buffer.from('?'));
  rig.loop.turn();
  t.equal(thrower.errors.length, 1);
  t.same(
    parties.map(({ answer }) => answer),
    ['words', '', 'words'],
  );
  t.same([rig.count('exceptions'), rig.count('batches')], [1, 2]);
});

socketTest(
  'turn calls: who throws when told of a write hears of it, and the rest is told',
  async (t, kit) => {
    const rig = new Rig(kit);
    const parties = rig.parties(3, (party) => void party.say('words')) as [Party, Party, Party];
    parties[1].onWritten = () => {
      throw new Error('boom');
    };
    for (const party of parties) party.far.send(Buffer.from('?'));
    rig.loop.turn();
    t.same(
      parties.map(({ written, errors }) => [written, errors.length]),
      [
        [[5], 0],
        [[], 1],
        [[5], 0],
      ],
    );
    t.equal(rig.count('exceptions'), 1);
    for (const party of parties) party.far.send(Buffer.from('?'));
    rig.loop.turn();
    t.same([parties[0].answer, parties[2].answer], ['wordswords', 'wordswords']);
  },
);

socketTest('turn calls: what is withdrawn after it was made has its result', async (t, kit) => {
  const rig = new Rig(kit);
  const [first, second] = rig.parties(2, (party) => void party.say('words')) as [Party, Party];
  let result: number | undefined;
  first.onWritten = () => {
    result = rig.calls.withdraw(second.ticket);
    t.equal(rig.calls.isOpen, false, 'nothing is written late any more');
  };
  for (const party of [first, second]) party.far.send(Buffer.from('?'));
  rig.loop.turn();
  t.same([result, second.written, second.answer], [5, [], 'words']);
});

socketTest(
  'turn calls: a write may fail, or go in part, and its writer is told',
  async (t, kit) => {
    const rig = new Rig(kit);
    const parties = rig.parties(3, (party) => void party.say('words'));
    rig.libc.fail('send', Errno.EPIPE, Errno.EAGAIN);
    for (const party of parties) party.far.send(Buffer.from('?'));
    rig.loop.turn();
    t.same(
      parties.map(({ written }) => written),
      [[-Errno.EPIPE], [-Errno.EAGAIN], [5]],
    );
  },
);

socketTest(
  'turn calls: nothing is written late by tasks, timers, or between turns',
  async (t, kit) => {
    const rig = new Rig(kit);
    const [one, two, three] = rig.parties(3) as [Party, Party, Party];
    const late: Record<string, boolean> = {};
    rig.loop.defer({ runTask: () => (late.task = two.say('task')), onException: () => {} });
    const timer = new Timer({
      onTimer: () => (late.timer = three.say('timer')),
      onException: () => {},
    });
    rig.loop.wheel.schedule(timer, rig.nowMs + 10);
    rig.nowMs += 100;
    late.between = one.say('between');
    one.serve = () => {};
    one.far.send(Buffer.from('?'));
    rig.loop.turn();
    t.same(late, { task: false, timer: false, between: false });
    t.same([one.answer, two.answer, three.answer], ['between', 'task', 'timer']);
  },
);

socketTest('turn calls: there is a place for each event of a turn', async (t, kit) => {
  const rig = new Rig(kit, EVENTS_MAX);
  const late: boolean[] = [];
  const parties = rig.parties(EVENTS_MAX + 10, (party) => {
    party.say('answer');
    late.push(rig.calls.isOpen);
  });
  for (const { far } of parties) far.send(Buffer.from('?'));
  rig.loop.turn();
  t.equal(rig.count('events'), EVENTS_MAX);
  t.equal(rig.count('batched_calls'), 2 * EVENTS_MAX, 'a read and a write for each');
  t.same([late.length, late.indexOf(false)], [EVENTS_MAX, EVENTS_MAX - 1], 'then it is full');
  rig.loop.turn();
  t.ok(parties.every(({ heard, written }) => heard.join() === '?' && written.join() === '6'));
  t.ok(parties.every(({ answer }) => answer === 'answer'));
  t.equal(rig.buffers.inUse, 0);
});

socketTest('turn calls: writes for which there is no place go at once', async (t, kit) => {
  const rig = new Rig(kit, 4);
  const late: boolean[] = [];
  const parties = rig.parties(3);
  for (const party of parties) {
    party.serve = () => {
      for (const word of ['a', 'b']) late.push(party.say(word));
    };
    party.far.send(Buffer.from('?'));
  }
  rig.loop.turn();
  t.same(late, [true, true, true, true, false, false]);
  t.equal(parties[2]!.answer, 'ab');
  t.ok(parties.every(({ written }) => written.length === 2));
});

socketTest(
  'turn calls: who has more to do than bytes writes with others like it',
  async (t, kit) => {
    const rig = new Rig(kit);
    const [bytes, one, other] = rig.parties(3) as [Party, Party, Party];
    for (const party of [one, other]) {
      party.serve = () => {
        t.ok(party.say('answer'));
        t.equal(rig.made, 'recv send', 'after those who have bytes only');
      };
      party.far.send(Buffer.from('last'));
      party.far.end();
    }
    bytes.serve = () => void bytes.say('answer');
    bytes.far.send(Buffer.from('bytes'));
    pause(1);
    rig.loop.turn();
    t.equal(rig.made, 'recv send send send');
    t.same([bytes.answer, one.answer, other.answer], ['answer', 'answer', 'answer']);
    t.equal(rig.calls.isOpen, false);
    rig.forget();
    one.serve = () => t.notOk(one.say('!'), 'alone it has nobody to wait for');
    one.far.reset();
    pause(1);
    rig.loop.turn();
    t.equal(rig.made, 'send');
  },
);

socketTest('turn calls: all closes come last, together', async (t, kit) => {
  const rig = new Rig(kit);
  const parties = rig.parties(4) as [Party, Party, Party, Party];
  const [reader, ender, stays, other] = parties;
  reader.serve = ender.serve = (party) => t.ok(party.leave());
  stays.serve = () => t.ok(stays.say('words'));
  // Whoever comes later may have no number that is still somebody's.
  other.serve = () => t.notOk([reader.fd, ender.fd].includes(kit.listener().fd));
  for (const { far } of parties) far.send(Buffer.from('?'));
  ender.far.end();
  other.far.end();
  pause(1);
  rig.loop.turn();
  t.equal(rig.made, 'recv recv send close close');
  t.same([rig.count('batches'), rig.count('batched_calls')], [3, 5]);
  for (const { far } of [reader, ender]) {
    far.receive();
    t.ok(far.isEnded || far.errno !== 0, 'it is gone');
  }
  t.equal(stays.answer, 'words');
});

socketTest(
  'turn calls: nothing is closed late by tasks, timers, or between turns',
  async (t, kit) => {
    const rig = new Rig(kit);
    const [one, two, three, four] = rig.parties(4) as [Party, Party, Party, Party];
    const late: Record<string, boolean> = {};
    rig.loop.defer({ runTask: () => (late.task = two.leave()), onException: () => {} });
    const timer = new Timer({ onTimer: () => (late.timer = three.leave()), onException: () => {} });
    rig.loop.wheel.schedule(timer, rig.nowMs + 10);
    rig.nowMs += 100;
    late.between = one.leave();
    four.serve = () => {};
    four.far.send(Buffer.from('?'));
    rig.loop.turn();
    t.same(late, { task: false, timer: false, between: false });
    for (const { far } of [one, two, three]) {
      far.receive();
      t.ok(far.isEnded);
    }
  },
);

socketTest('turn calls: for which there is no place is closed at once', async (t, kit) => {
  const rig = new Rig(kit, 4);
  const parties = rig.parties(4);
  const late: boolean[] = [];
  const extra = kit.pair();
  for (const party of parties) {
    party.serve = () => late.push(party.leave());
    party.far.send(Buffer.from('?'));
  }
  parties[3]!.serve = () => {
    late.push(parties[3]!.leave());
    late.push(rig.calls.closeLate(extra.near));
  };
  rig.loop.turn();
  t.same(late, [true, true, true, true, false]);
  t.equal(rig.made, 'recv recv recv recv close close close close');
});

socketTest('turn calls: who needs descriptors has them closed, once', async (t, kit) => {
  const rig = new Rig(kit);
  const [leaver, needy] = rig.parties(2) as [Party, Party];
  leaver.serve = () => t.ok(leaver.leave());
  needy.serve = () => {
    t.equal(rig.loop.closeEnded(), 1);
    t.equal(rig.loop.closeEnded(), 0);
    t.equal(rig.made, 'recv recv close');
  };
  for (const { far } of [leaver, needy]) far.send(Buffer.from('?'));
  rig.loop.turn();
  t.equal(rig.made, 'recv recv close');
  t.equal(rig.loop.closeEnded(), 0);
});
