import { MessageChannel } from 'node:worker_threads';
import { EventFd, localAddress } from '../../splice/index.js';
import { COUNTER_REGION_BYTES } from '../counters.js';
import type { HttpSnapshot } from '../http/index.js';
import { ConnectionLimit } from '../room.js';
import type { WorkerSnapshot } from '../snapshot.js';
import type { ThreadKernel } from '../thread-kernel.js';
import { Worker } from '../worker.js';
import { httpScenarios } from './http-scenarios.js';
import { listenOnLoopback, Origin } from './origin.js';
import type { Scenario } from './scenarios.js';
import { tcpScenarios } from './tcp-scenarios.js';
import { WarmUpRig } from './warm-up-rig.js';
import { type WarmUpListener, warmUpSnapshot } from './warm-up-snapshot.js';

/** A warm-up without obstacles takes a tenth of it. */
const TIME_MAX_MS = 500;

/**
 * Goes through what the listeners of a worker will meet, before it serves. No descriptor is left behind.
 *
 * @param snapshot of that worker
 * @param thread what the two workers share
 * @param timeMaxMs after which it is given up
 * @returns why it was given up: no loopback, no descriptors, too slow a machine, a bug; nothing if it was not
 */
export function warmUp(
  snapshot: WorkerSnapshot,
  thread: ThreadKernel,
  timeMaxMs = TIME_MAX_MS,
): unknown {
  const { listeners } = snapshot;
  const http = listeners.find((one) => one.http !== undefined)?.http;
  const forwards = listeners.some((one) => one.http === undefined);
  const untilMs = thread.kernel.monotonicMs() + timeMaxMs;
  try {
    if (forwards) run(snapshot, thread, untilMs, tcpScenarios());
    if (http !== undefined) run(snapshot, thread, untilMs, httpScenarios(), http);
    return undefined;
  } catch (error) {
    // Whatever it was, the worker serves without.
    return error;
  } finally {
    // Where the constructor of a worker threw, descriptors are open still.
    thread.closeRest();
  }
}

function run(
  snapshot: WorkerSnapshot,
  thread: ThreadKernel,
  untilMs: number,
  scenarios: readonly Scenario[],
  http?: HttpSnapshot,
): void {
  const { kernel } = thread;
  const origin = new Origin(kernel);
  let worker: Worker | undefined;
  let bell: EventFd | undefined;
  const { port1, port2 } = new MessageChannel();
  try {
    bell = EventFd.open(kernel);
    const fd = listenOnLoopback(kernel);
    const listener: WarmUpListener = { fd, address: localAddress(kernel, fd), http };
    worker = new Worker(
      {
        snapshot: warmUpSnapshot(snapshot, listener, origin.address),
        port: port1,
        bellFd: bell.fd,
        counters: new SharedArrayBuffer(COUNTER_REGION_BYTES),
        descriptors: new SharedArrayBuffer(0),
        shared: ConnectionLimit.createMemory(1),
        logBacklog: new SharedArrayBuffer(4),
      },
      thread,
    );
    worker.open();
    const rig = new WarmUpRig(worker, origin, listener.address, untilMs);
    try {
      for (const scenario of scenarios) scenario(rig);
    } finally {
      rig.close();
    }
  } finally {
    worker?.close();
    bell?.close();
    origin.close();
    port1.close();
    port2.close();
  }
}
