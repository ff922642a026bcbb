import type { MessagePort } from 'node:worker_threads';
import type { WorkerSnapshot } from './snapshot.js';

/** What a worker thread is started with (`workerData`). */
export interface WorkerStart {
  readonly snapshot: WorkerSnapshot;
  /** Messages both ways; a message to the worker is followed by a ring of {@link bellFd}. */
  readonly port: MessagePort;
  readonly bellFd: number;
  /** This worker's counters; see counters.ts. */
  readonly counters: SharedArrayBuffer;
  /** Numbers that all workers write; see `SharedSlot`. */
  readonly shared: SharedArrayBuffer;
  /** Log bytes sent to the control thread that it has not written yet, one Int32. */
  readonly logBacklog: SharedArrayBuffer;
}

/** Control thread to worker. */
export type ToWorker =
  /** Accept what is queued, close the listeners, let flows end, at most this long. */
  | { readonly type: 'drain'; readonly timeoutMs: number }
  /** End every flow and return. */
  | { readonly type: 'stop' };

/** Worker to control thread. */
export type FromWorker =
  /** The loop is about to run; its listeners are being served. */
  | { readonly type: 'ready' }
  /** Whole log lines, newlines included. */
  | { readonly type: 'log'; readonly lines: string; readonly bytes: number }
  /** The listeners are closed: nothing new is accepted. */
  | { readonly type: 'draining' }
  /** The loop has ended and every descriptor of the worker is closed. */
  | { readonly type: 'ended' };
