import { MessageChannel } from 'node:worker_threads';
import { EventFd, localAddress, SystemCallError } from '../../splice/index.js';
import { COUNTER_REGION_BYTES } from '../counters.js';
import type { HttpSnapshot } from '../http/index.js';
import { ConnectionLimit } from '../room.js';
import type { WorkerSnapshot } from '../snapshot.js';
import type { ThreadKernel } from '../thread-kernel.js';
import { Worker } from '../worker.js';
import { httpScenes } from './http-scenes.js';
import { listenOnLoopback, Origin } from './origin.js';
import { type Entrance, rehearsalSnapshot } from './rehearsal-snapshot.js';
import type { Scene } from './scenes.js';
import { Stage, Stuck } from './stage.js';
import { tcpScenes } from './tcp-scenes.js';

/**
 * Goes through what the listeners of a worker will meet, before it serves.
 *
 * @param snapshot of that worker
 * @param thread its kernel
 * @returns false where it was given up: without loopback, or without descriptors. Nothing is left behind either way.
 */
export function rehearse(snapshot: WorkerSnapshot, thread: ThreadKernel): boolean {
  const { listeners } = snapshot;
  const http = listeners.find((one) => one.http !== undefined)?.http;
  const forwards = listeners.some((one) => one.http === undefined);
  try {
    if (forwards) play(snapshot, thread, tcpScenes);
    if (http !== undefined) play(snapshot, thread, httpScenes, http);
    return true;
  } catch (error) {
    if (error instanceof Stuck || error instanceof SystemCallError) return false;
    throw error;
  } finally {
    // A worker that was not even made has left something, perhaps.
    thread.closeRest();
  }
}

function play(
  snapshot: WorkerSnapshot,
  thread: ThreadKernel,
  scenes: readonly Scene[],
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
    const entrance: Entrance = { fd, address: localAddress(kernel, fd), http };
    worker = new Worker(
      {
        snapshot: rehearsalSnapshot(snapshot, [entrance], origin.address),
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
    const stage = new Stage(worker, origin, entrance.address);
    try {
      for (const scene of scenes) scene(stage);
    } finally {
      stage.close();
    }
  } finally {
    worker?.close();
    bell?.close();
    origin.close();
    port1.close();
    port2.close();
  }
}
