// What a thread goes through before its worker serves: that it comes to an end, whatever fails, and leaves nothing behind.
import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  type CloseReason,
  Counter,
  type CounterName,
  type Counters,
  closeReasons,
  type WorkerSnapshot,
} from '#src/proxy/index.js';
import { ThreadKernel } from '#src/proxy/thread-kernel.js';
import { Stuck, warmUp } from '#src/proxy/warmup/index.js';
import {
  DescriptorLedger,
  Errno,
  type Libc,
  loadLibc,
  PumpSlot,
  SystemCallError,
} from '#src/splice/index.js';
import { FaultPlan } from '#test/support/faults/fault-plan.js';
import { FaultyLibc } from '#test/support/faults/faulty-libc.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { Random } from '#test/support/random.js';

const timeout = { timeout: 60_000 };
/** For a machine that does something else as well. */
const LONG_MS = 20_000;

const listener = {
  name: 'in',
  index: 0,
  fd: -1,
  address: 'somewhere',
  family: 'inet',
  upstream: 0,
} as const;

const snapshot: WorkerSnapshot = {
  worker: 0,
  core: -1,
  ioUring: true,
  listeners: [listener, { ...listener, http: plainHttp }],
  upstreams: [],
  endpointTable: new SharedArrayBuffer(0),
  timeouts: {
    connectMs: 1000,
    headMs: 1000,
    keepAliveMs: 1000,
    idleMs: 1000,
    requestMs: 0,
    responseMs: 0,
    tunnelMs: 1000,
    tlsHandshakeMs: 1000,
  },
  limits: {
    connectionsMax: 1,
    clientDescriptorsEnd: Number.POSITIVE_INFINITY,
    pipeMemoryBytes: 16 * 1024 * 1024,
    pipeBytes: 1024 * 1024,
    headBytes: 32 * 1024,
    headers: 100,
    cachedFiles: 0,
  },
  log: { level: 'info', access: true },
};

/** A thread that remembers what its workers counted, and how many descriptors they left. */
class WatchedThread extends ThreadKernel {
  readonly all: Counters[] = [];
  readonly left: number[] = [];

  constructor(libc?: Libc) {
    super(DescriptorLedger.createMemory(4096), libc);
    Object.defineProperty(this, 'counters', {
      get: () => this.all.at(-1),
      set: (counters: Counters) => this.all.push(counters),
    });
  }

  override closeRest(): number {
    const left = super.closeRest();
    this.left.push(left);
    return left;
  }

  /** A number of each worker, in the order of their beginning. */
  counted(name: CounterName): number[] {
    return this.all.map(({ values }) => values[Counter[name]]!);
  }
}

const spliced = ({ up, down }: Counters): number =>
  up[PumpSlot.SpliceBytes]! + down[PumpSlot.SpliceBytes]!;

t.test(
  'warm-up: all scenarios are gone through, and nothing is left of them',
  timeout,
  async (t) => {
    const before = descriptors();
    const thread = new WatchedThread();
    t.equal(warmUp(snapshot, thread, LONG_MS), undefined);
    t.same(descriptors(), before);
    t.same(thread.left, [0], 'the workers closed what they had');
    t.same(thread.counted('exceptions'), [0, 0]);
    t.same(thread.counted('flows_active'), [0, 0]);
    t.same(thread.counted('buffers_in_use'), [0, 0]);
    for (const [index, counters] of thread.all.entries()) {
      const ends = (reason: CloseReason) => counters.closedOf(0, closeReasons.indexOf(reason));
      t.ok(ends('done') > 5, `${ends('done')} done`);
      t.ok(ends('client_reset') > 2, `${ends('client_reset')} reset by clients`);
      // A request is answered for the endpoint.
      if (index === 0) t.ok(ends('upstream_reset') > 0, 'reset by the endpoint');
      t.ok(spliced(counters) > 256 * 1024, `${index}: ${spliced(counters)} bytes spliced`);
      t.equal(counters.values[Counter.connect_failures], 0);
    }
  },
);

t.test('warm-up: only of what the listeners will meet', timeout, async (t) => {
  const http = { ...listener, http: plainHttp };
  for (const [listeners, plays] of [
    [[], 0],
    [[listener], 1],
    [[http], 1],
    [[listener, http, listener], 2],
  ] as const) {
    const thread = new WatchedThread();
    t.equal(warmUp({ ...snapshot, listeners }, thread, LONG_MS), undefined);
    t.equal(thread.all.length, plays);
  }
});

t.test('warm-up: limits that are meant for clients do not spoil it', timeout, async (t) => {
  const limits = { ...snapshot.limits, connectionsMax: 1, headers: 1, headBytes: 1024 };
  t.equal(warmUp({ ...snapshot, limits }, new WatchedThread(), LONG_MS), undefined);
});

t.test('warm-up: low memory is used again', timeout, async (t) => {
  // Mappings without a name: the heap of malloc, which grows for other reasons, has one.
  const mappings = /^([0-9a-f]{1,8})-([0-9a-f]{1,8}) rw.p 0+ 00:00 0 *$/gm;
  const lowBytes = () =>
    [...readFileSync('/proc/self/maps', 'latin1').matchAll(mappings)]
      .map(([, from, to]) => Number.parseInt(to!, 16) - Number.parseInt(from!, 16))
      .reduce((sum, bytes) => sum + bytes, 0);
  warmUp(snapshot, new WatchedThread(), LONG_MS);
  const thread = new WatchedThread();
  const before = lowBytes();
  t.equal(warmUp(snapshot, thread, LONG_MS), undefined);
  t.ok(lowBytes() - before < 6 * 1024 * 1024, `${lowBytes() - before} bytes more`);
});

t.test('warm-up: without loopback there is none', timeout, async (t) => {
  const libc = loadLibc();
  let errno = 0;
  const calls = {
    ...libc.calls,
    bind: () => {
      errno = Errno.EADDRNOTAVAIL;
      return -1;
    },
  };
  const before = descriptors();
  const thread = new WatchedThread({ calls, errno: () => errno || libc.errno() });
  t.match(warmUp(snapshot, thread), { code: 'EADDRNOTAVAIL', syscall: 'bind' });
  t.same(descriptors(), before);
});

t.test('warm-up: filtered loopback holds nobody up', timeout, async (t) => {
  const libc = loadLibc();
  // Nothing that is sent arrives.
  const calls = { ...libc.calls, send: (...args: number[]) => args[2]! };
  const before = descriptors();
  t.match(warmUp(snapshot, new WatchedThread({ ...libc, calls })), /not answered in time/);
  t.same(descriptors(), before);
});

t.test('warm-up: a bug in it is told, and no more', timeout, async (t) => {
  const libc = loadLibc();
  const bug = new Error('a bug');
  const calls = {
    ...libc.calls,
    timerfd_create: () => {
      throw bug;
    },
  };
  const before = descriptors();
  const thread = new WatchedThread({ ...libc, calls });
  t.equal(warmUp(snapshot, thread), bug);
  t.same(descriptors(), before);
  t.ok(thread.left[0]! > 0, 'the constructor left an epoll');
});

t.test('warm-up: whatever fails, it ends and leaves nothing', timeout, async (t) => {
  const random = new Random(Random.seed());
  const before = descriptors();
  for (let round = 0; round < 16; round++) {
    const plan = new FaultPlan();
    const seed = random.between(1, 2 ** 30);
    plan.scatter(seed, random.between(20, 400));
    const obstacle = warmUp(snapshot, new WatchedThread(new FaultyLibc(plan)));
    const isExpected =
      obstacle === undefined || obstacle instanceof SystemCallError || obstacle instanceof Stuck;
    t.ok(isExpected, `seed ${seed}: ${obstacle}, ${plan.injected} faults`);
    t.same(descriptors(), before, `seed ${seed}`);
  }
});
