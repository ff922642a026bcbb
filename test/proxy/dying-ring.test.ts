// A worker whose loop fails: its ring is memory of the process, which outlives the thread.
import { MessageChannel } from 'node:worker_threads';
import {
  COUNTER_REGION_BYTES,
  ConnectionLimit,
  Counter,
  Counters,
  type WorkerSnapshot,
} from '#src/proxy/index.js';
import { ThreadKernel } from '#src/proxy/thread-kernel.js';
import { EndpointTable } from '#src/proxy/upstream/index.js';
import { Worker } from '#src/proxy/worker.js';
import { DescriptorLedger, Errno, EventFd } from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { missingIoUring, testWith } from '#test/support/machine/capability.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { ringMappings } from '#test/support/machine/proc.js';

const DURATION_MS = 1000;

const snapshot: WorkerSnapshot = {
  worker: 0,
  core: -1,
  ioUring: true,
  listeners: [],
  upstreams: [],
  endpointTable: EndpointTable.createMemory(1),
  timeouts: {
    connectMs: DURATION_MS,
    headMs: DURATION_MS,
    keepAliveMs: DURATION_MS,
    idleMs: DURATION_MS,
    requestMs: 0,
    responseMs: 0,
    tunnelMs: DURATION_MS,
    tlsHandshakeMs: DURATION_MS,
  },
  limits: {
    connectionsMax: 1,
    clientDescriptorsEnd: Number.POSITIVE_INFINITY,
    pipeMemoryBytes: 1024 * 1024,
    pipeBytes: 65_536,
    headBytes: 8192,
    headers: 100,
    cachedFiles: 0,
  },
  log: { level: 'silent', access: false },
};

testWith(
  missingIoUring(),
  'dying ring: a worker that fails leaves nothing of it',
  { timeout: 10_000 },
  async (t) => {
    const before = descriptors();
    const rings = ringMappings();
    const libc = new ScriptedLibc();
    const thread = new ThreadKernel(DescriptorLedger.createMemory(4096), libc);
    const { port1, port2 } = new MessageChannel();
    const bell = EventFd.open(thread.kernel);
    const counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
    const worker = new Worker(
      {
        snapshot,
        port: port1,
        bellFd: bell.fd,
        counters: counters.values.buffer as SharedArrayBuffer,
        descriptors: new SharedArrayBuffer(0),
        shared: ConnectionLimit.createMemory(1),
        logBacklog: new SharedArrayBuffer(4),
      },
      thread,
    );
    t.ok(ringMappings() > rings);
    t.equal(counters.values[Counter.batches_open], 1);
    libc.fail('epoll_wait', Errno.EBADF);
    t.throws(() => worker.run(), { code: 'EBADF' });
    t.equal(ringMappings(), rings);
    t.equal(counters.values[Counter.batches_open], 0);
    t.ok(thread.closeRest() > 0, 'the loop’s own are left to the slot');
    t.same(descriptors(), before);
    port1.close();
    port2.close();
  },
);
