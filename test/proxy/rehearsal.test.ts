// What a thread goes through before its worker serves: that it comes to an end, whatever fails, and leaves nothing behind.
import t from 'tap';
import { COUNTER_REGION_BYTES, Counters, type WorkerSnapshot } from '#src/proxy/index.js';
import { rehearse } from '#src/proxy/rehearsal/index.js';
import { ThreadKernel } from '#src/proxy/thread-kernel.js';
import { DescriptorLedger, Errno, type Libc, loadLibc } from '#src/splice/index.js';
import { FaultPlan } from '#test/support/faults/fault-plan.js';
import { FaultyLibc } from '#test/support/faults/faulty-libc.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { Random } from '#test/support/random.js';

const timeout = { timeout: 60_000 };

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
    pipeMemoryBytes: 16 * 1024 * 1024,
    pipeBytes: 1024 * 1024,
    headBytes: 32 * 1024,
    headers: 100,
    cachedFiles: 0,
  },
  log: { level: 'info', access: true },
};

/** Counts what it is asked for. */
function counting(libc: Libc): { libc: Libc; calls: Map<string, number> } {
  const calls = new Map<string, number>();
  const counted = Object.entries(libc.calls).map(([name, call]) => [
    name,
    (...args: number[]) => {
      calls.set(name, (calls.get(name) ?? 0) + 1);
      return call(...args);
    },
  ]);
  return { libc: { calls: Object.fromEntries(counted), errno: libc.errno }, calls };
}

function threadOn(libc?: Libc): ThreadKernel {
  return new ThreadKernel(DescriptorLedger.createMemory(4096), libc);
}

t.test('rehearsal: all scenes are played, and nothing is left of them', timeout, async (t) => {
  const before = descriptors();
  const { libc, calls } = counting(loadLibc());
  const thread = threadOn(libc);
  const counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
  thread.counters = counters;
  t.equal(rehearse(snapshot, thread), true);
  t.same(descriptors(), before);
  // The ways that bytes and connections take in production.
  for (const call of ['accept4', 'connect', 'recv', 'send', 'splice', 'shutdown']) {
    t.ok((calls.get(call) ?? 0) > 5, `${call}: ${calls.get(call)}`);
  }
  t.ok(calls.get('timerfd_settime')! > 0, 'timers');
  t.ok(
    counters.values.every((value) => value === 0),
    'counted elsewhere',
  );
  t.equal(thread.closeRest(), 0);
});

t.test('rehearsal: only of what the listeners will meet', timeout, async (t) => {
  const callsOf = (listeners: WorkerSnapshot['listeners']) => {
    const { libc, calls } = counting(loadLibc());
    t.equal(rehearse({ ...snapshot, listeners }, threadOn(libc)), true);
    return calls;
  };
  const http = { ...listener, http: plainHttp };
  t.notOk(callsOf([]).has('socket'), 'nothing');
  const [tcp, both] = [callsOf([listener]), callsOf([listener, http])];
  t.ok(tcp.get('connect')! > 0);
  t.ok(both.get('connect')! > 1.5 * tcp.get('connect')!, 'requests as well');
});

t.test('rehearsal: without loopback there is none', timeout, async (t) => {
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
  const thread = threadOn({ calls, errno: () => errno || libc.errno() });
  t.equal(rehearse(snapshot, thread), false);
  t.same(descriptors(), before);
});

t.test('rehearsal: filtered loopback holds nobody up', timeout, async (t) => {
  const libc = loadLibc();
  // Nothing that is sent arrives.
  const calls = { ...libc.calls, send: (...args: number[]) => args[2]! };
  const before = descriptors();
  const startMs = performance.now();
  t.equal(rehearse(snapshot, threadOn({ ...libc, calls })), false);
  t.ok(performance.now() - startMs < 30_000);
  t.same(descriptors(), before);
});

t.test('rehearsal: whatever fails, it ends and leaves nothing', timeout, async (t) => {
  const random = new Random(Random.seed());
  const before = descriptors();
  for (let round = 0; round < 16; round++) {
    const plan = new FaultPlan();
    const seed = random.between(1, 2 ** 30);
    plan.scatter(seed, random.between(20, 400));
    const outcome = rehearse(snapshot, threadOn(new FaultyLibc(plan)));
    t.type(outcome, 'boolean', `seed ${seed}: ${outcome}, ${plan.injected} faults`);
    t.same(descriptors(), before, `seed ${seed}`);
  }
});
