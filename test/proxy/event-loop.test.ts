import koffi from 'koffi';
import { type EventHandler, EventLoop, type Task } from '#src/proxy/event-loop.js';
import { COUNTER_REGION_BYTES, Counter, Counters } from '#src/proxy/index.js';
import { Timer } from '#src/proxy/timer-wheel.js';
import { createKernel, Epoll, Errno, EventFd } from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

class Handler implements EventHandler {
  generation = 0;
  readonly events: number[] = [];
  readonly errors: unknown[] = [];

  constructor(private readonly then: (events: number) => void = () => {}) {}

  onEvents(events: number): void {
    this.events.push(events);
    this.then(events);
  }

  onException(error: unknown): void {
    this.errors.push(error);
  }
}

/** A loop with a clock that the test turns, over an epoll that never sleeps. */
class Rig {
  nowMs = 1000;
  turns = 0;
  readonly libc = new ScriptedLibc();
  readonly counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
  readonly loop: EventLoop;

  constructor(kit: SocketKit) {
    const onTurn = (): void => {
      this.turns++;
    };
    this.loop = new EventLoop(createKernel(this.libc), this.counters, onTurn, {
      clock: () => this.nowMs,
    });
    this.libc.script('epoll_wait', (args, real) => real(...args.with(3, 0)));
    for (const { name, result } of this.libc.trace) {
      if (name === 'epoll_create1' || name === 'timerfd_create') kit.own(result);
    }
    // The first wait of a loop looks more than once: test/proxy/busy-poll.test.ts.
    this.loop.turn();
    this.turns = 0;
    this.libc.trace.length = 0;
    this.counters.values.fill(0);
  }
}

function bell(kit: SocketKit): EventFd {
  const one = EventFd.open(kit.kernel);
  kit.own(one.fd);
  return one;
}

function waits(libc: ScriptedLibc): number[] {
  return libc.trace.filter(({ name }) => name === 'epoll_wait').map(({ args }) => args[3]!);
}

socketTest('event loop: an event reaches its handler, and no other', async (t, kit) => {
  const { loop, counters } = new Rig(kit);
  const [first, second] = [new Handler(), new Handler()];
  const [one, two] = [bell(kit), bell(kit)];
  t.equal(loop.register(one.fd, Epoll.EPOLLIN, first), 0);
  t.equal(loop.register(two.fd, Epoll.EPOLLIN, second), 0);
  two.ring();
  loop.turn();
  t.same([first.events, second.events], [[], [Epoll.EPOLLIN]]);
  t.equal(counters.values[Counter.events], 1);
  t.equal(counters.values[Counter.loop_turns], 1);
});

socketTest(
  'event loop: an event for a descriptor that was closed and reused is dropped',
  async (t, kit) => {
    const { loop, counters } = new Rig(kit);
    const [one, two] = [bell(kit), bell(kit)];
    const late = new Handler();
    const old = new Handler();
    let reused: EventFd | undefined;
    const closer = new Handler(() => {
      one.hear();
      loop.forget(two.fd);
      kit.close(two.fd);
      // The kernel gives the lowest free number: the same.
      reused = bell(kit);
      loop.register(reused.fd, Epoll.EPOLLIN, late);
    });
    loop.register(one.fd, Epoll.EPOLLIN, closer);
    loop.register(two.fd, Epoll.EPOLLIN, old);
    one.ring();
    two.ring();
    loop.turn();
    t.equal(reused?.fd, two.fd, 'the number was reused within the batch');
    t.equal(counters.values[Counter.events], 2);
    t.equal(counters.values[Counter.events_stale], 1);
    t.same([old.events, late.events], [[], []], 'it belongs to neither');
    reused?.ring();
    loop.turn();
    t.same(late.events, [Epoll.EPOLLIN], 'the next one is the newcomer’s own');
  },
);

socketTest(
  'event loop: an event for a descriptor that was forgotten is dropped',
  async (t, kit) => {
    const { loop, counters } = new Rig(kit);
    const one = bell(kit);
    const two = bell(kit);
    const other = new Handler();
    const remover = new Handler(() => {
      one.hear();
      loop.deregister(two.fd);
    });
    loop.register(one.fd, Epoll.EPOLLIN, remover);
    loop.register(two.fd, Epoll.EPOLLIN, other);
    one.ring();
    two.ring();
    loop.turn();
    t.same(other.events, []);
    t.equal(counters.values[Counter.events_stale], 1);
    loop.turn();
    t.equal(counters.values[Counter.events_stale], 1, 'and the kernel was told as well');
    t.equal(loop.register(two.fd, Epoll.EPOLLIN, other), 0, 'it may come back');
    loop.turn();
    t.equal(other.events.length, 1);
  },
);

socketTest(
  'event loop: a handler that throws hears of it, and the others are served',
  async (t, kit) => {
    const { loop, counters } = new Rig(kit);
    const thrower = new Handler(() => {
      throw new Error('boom');
    });
    const handlers = [new Handler(), thrower, new Handler()];
    for (const handler of handlers) {
      const one = bell(kit);
      loop.register(one.fd, Epoll.EPOLLIN, handler);
      one.ring();
    }
    loop.turn();
    t.same(
      handlers.map(({ events }) => events.length),
      [1, 1, 1],
    );
    t.match(thrower.errors, [{ message: 'boom' }]);
    t.equal(counters.values[Counter.exceptions], 1);
    loop.turn();
    t.equal(thrower.events.length, 2, 'whether it goes on is its own affair');
  },
);

socketTest('event loop: a registration that fails leaves nothing behind', async (t, kit) => {
  const { loop, libc } = new Rig(kit);
  libc.fail('epoll_ctl', Errno.ENOMEM);
  const one = bell(kit);
  t.equal(loop.register(one.fd, Epoll.EPOLLIN, new Handler()), -Errno.ENOMEM);
  t.same([...loop.registered()], []);
});

socketTest('event loop: without memory for its alarm there is no loop', async (t, kit) => {
  const libc = new ScriptedLibc();
  const counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
  libc.fail('epoll_ctl', Errno.ENOMEM);
  // It would sleep on when a timer is due.
  t.throws(() => new EventLoop(createKernel(libc), counters, () => {}), {
    code: 'ENOMEM',
    syscall: 'epoll_ctl',
  });
  for (const { name, result } of libc.trace)
    if (name.endsWith('_create') || name === 'epoll_create1') kit.own(result);
});

socketTest('event loop: knows who is registered', async (t, kit) => {
  const { loop } = new Rig(kit);
  const [one, two] = [bell(kit), bell(kit)];
  const [first, second] = [new Handler(), new Handler()];
  loop.register(two.fd, Epoll.EPOLLIN, second);
  loop.register(one.fd, Epoll.EPOLLIN, first);
  t.same(
    [...loop.registered()].map((handler) => [first, second].indexOf(handler as Handler)),
    [0, 1],
  );
  loop.forget(one.fd);
  t.equal([...loop.registered()].length, 1);
});

class Work implements Task {
  runs = 0;
  readonly errors: unknown[] = [];
  constructor(private readonly then: (work: Work) => void = () => {}) {}
  runTask(): void {
    this.runs++;
    this.then(this);
  }
  onException(error: unknown): void {
    this.errors.push(error);
  }
}

socketTest('event loop: work put off is done next turn, which does not sleep', async (t, kit) => {
  const { loop, libc } = new Rig(kit);
  const work = new Work();
  loop.turn();
  loop.defer(work);
  t.equal(work.runs, 0);
  loop.turn();
  t.equal(work.runs, 1);
  loop.turn();
  t.equal(work.runs, 1);
  t.same(waits(libc), [-1, 0, -1]);
});

socketTest('event loop: work that puts itself off again leaves room for events', async (t, kit) => {
  const { loop, libc } = new Rig(kit);
  const one = bell(kit);
  const handler = new Handler();
  loop.register(one.fd, Epoll.EPOLLIN, handler);
  one.ring();
  const work = new Work((self) => {
    if (self.runs < 5) loop.defer(self);
  });
  loop.defer(work);
  for (let turn = 1; turn <= 5; turn++) {
    loop.turn();
    t.same([work.runs, handler.events.length], [turn, turn]);
  }
  loop.turn();
  t.equal(work.runs, 5);
  t.same(waits(libc), [0, 0, 0, 0, 0, -1]);
});

socketTest('event loop: work that throws hears of it, and the rest is done', async (t, kit) => {
  const { loop, counters } = new Rig(kit);
  const all = [
    new Work(),
    new Work(() => {
      throw new Error('boom');
    }),
    new Work(),
  ];
  for (const work of all) loop.defer(work);
  loop.turn();
  t.same(
    all.map(({ runs }) => runs),
    [1, 1, 1],
  );
  t.match(all[1]!.errors, [{ message: 'boom' }]);
  t.equal(counters.values[Counter.exceptions], 1);
});

socketTest('event loop: an alarm wakes it for the next timer', async (t, kit) => {
  const self = new Rig(kit);
  const { loop, libc } = self;
  const alarmsMs: number[] = [];
  libc.script('timerfd_settime', (args, real) => {
    const [, , seconds, nanoseconds] = new BigInt64Array(koffi.view(BigInt(args[2]!), 32));
    alarmsMs.push(Number(seconds) * 1000 + Number(nanoseconds) / 1e6);
    return real(...args);
  });
  let rings = 0;
  const timer = new Timer({ onTimer: () => rings++, onException: () => {} });
  loop.wheel.schedule(timer, self.nowMs + 1500);
  loop.turn();
  loop.turn();
  t.equal(alarmsMs.length, 1, 'set once, not at every turn');
  t.ok(alarmsMs[0]! >= 1500 && alarmsMs[0]! <= 1532, `${alarmsMs[0]}`);
  loop.wheel.schedule(new Timer(timer.owner), self.nowMs + 100);
  loop.turn();
  t.ok(alarmsMs[1]! >= 100 && alarmsMs[1]! <= 132, 'sooner, when something is due sooner');
  self.nowMs += 2000;
  loop.turn();
  t.equal(rings, 2);
  loop.turn();
  t.equal(alarmsMs.length, 2, 'not set for nothing');
  t.equal(waits(libc).at(-1), -1);
});

socketTest('event loop: the alarm really rings', async (t, kit) => {
  const self = new Rig(kit);
  self.libc.script('epoll_wait', (args, real) => real(...args));
  let rings = 0;
  const timer = new Timer({ onTimer: () => rings++, onException: () => {} });
  self.loop.wheel.schedule(timer, self.nowMs + 50);
  const startMs = performance.now();
  self.loop.turn();
  t.ok(performance.now() - startMs > 40, 'it slept');
  self.nowMs += 100;
  self.loop.turn();
  t.equal(rings, 1);
});

socketTest('event loop: an interruption is a turn without events', async (t, kit) => {
  const self = new Rig(kit);
  self.libc.fail('epoll_wait', Errno.EINTR);
  t.doesNotThrow(() => self.loop.turn());
  t.equal(self.turns, 1);
  t.equal(self.counters.values[Counter.events], 0);
});

socketTest('event loop: an epoll that fails is a bug, and says so', async (t, kit) => {
  const { loop, libc } = new Rig(kit);
  libc.fail('epoll_wait', Errno.EBADF);
  t.throws(() => loop.turn(), { code: 'EBADF', syscall: 'epoll_wait' });
});

socketTest('event loop: the clock of a turn is read after the wait', async (t, kit) => {
  const self = new Rig(kit);
  self.libc.script('epoll_wait', () => {
    self.nowMs += 70;
    return 0;
  });
  self.loop.turn();
  t.equal(self.loop.nowMs, 1070);
});

socketTest('event loop: runs until it is stopped', async (t, kit) => {
  const self = new Rig(kit);
  self.libc.script('epoll_wait', () => {
    if (self.turns === 9) self.loop.stop();
    return 0;
  });
  self.loop.run();
  t.equal(self.turns, 10);
});
