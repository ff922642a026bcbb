import type { MessagePort } from 'node:worker_threads';
import type { CaptureLaneMemory } from './capture/index.js';
import type { FlowList, FlowQuery } from './flow-report.js';
import type { UpstreamSnapshot, WorkerSnapshot } from './snapshot.js';

/** What a worker thread is started with (`workerData`). */
export interface WorkerStart {
  readonly snapshot: WorkerSnapshot;
  /** Messages both ways; a message to the worker is followed by a ring of {@link bellFd}. */
  readonly port: MessagePort;
  readonly bellFd: number;
  /** This worker's counters; see counters.ts. */
  readonly counters: SharedArrayBuffer;
  /** This worker's open descriptors; see splice/descriptor-ledger.ts. */
  readonly descriptors: SharedArrayBuffer;
  /** Connections of all workers; see `ConnectionLimit`. */
  readonly shared: SharedArrayBuffer;
  /** Log bytes sent to the control thread that it has not written yet, one Int32. */
  readonly logBacklog: SharedArrayBuffer;
  /** The way to the capture thread, of no other worker before; absent where nobody could be at its end. */
  readonly captureLane?: CaptureLaneMemory | undefined;
}

/** What a name leads to that a worker has asked for. */
export interface NameAnswer {
  readonly name: string;
  /** IPv4 first; empty where the name leads nowhere, or nobody could say. */
  readonly ips: readonly string[];
  /** How long this holds, good or bad. */
  readonly ttlMs: number;
  readonly outcome: 'answered' | 'not_found' | 'timeout' | 'failed';
}

/** Control thread to worker. */
export type ToWorker =
  /** Accept what is queued, close the listeners, let flows end, at most this long. */
  | { readonly type: 'drain'; readonly timeoutMs: number }
  /** Names lead elsewhere: those upstreams that have other endpoints now. */
  | { readonly type: 'upstreams'; readonly upstreams: readonly UpstreamSnapshot[] }
  /** Another configuration, whole; flows go on. Answered by `configured` with the same id. */
  | { readonly type: 'configure'; readonly id: number; readonly snapshot: WorkerSnapshot }
  /** Answers `lookUp`. */
  | { readonly type: 'lookedUp'; readonly answer: NameAnswer }
  /** End every flow and return. */
  | { readonly type: 'stop' }
  /** Describe live flows; answered by `flows` with the same id. */
  | { readonly type: 'flows'; readonly id: number; readonly query: FlowQuery }
  /** End the live flow of that number; answered by `flowEnded` with the same id. */
  | { readonly type: 'endFlow'; readonly id: number; readonly sequence: number };

/** A worker's answer to the question that had the same id. */
export type WorkerAnswer =
  | { readonly type: 'flows'; readonly id: number; readonly list: FlowList }
  /** The configuration is in force; listeners that are not in it are closed. */
  | { readonly type: 'configured'; readonly id: number }
  | { readonly type: 'flowEnded'; readonly id: number; readonly found: boolean };

/** Where lines go: the log of the process, or the file of access lines. */
export type LogKind = 'log' | 'access';

/** Worker to control thread. */
export type FromWorker =
  | WorkerAnswer
  /** The loop is about to run; its listeners are being served. */
  | { readonly type: 'ready' }
  /** Whole log lines, newlines included, as UTF-8. */
  | { readonly type: 'log'; readonly lines: Uint8Array }
  /** Where does this name lead? In lower case, without a dot at its end; answered by `lookedUp`. */
  | { readonly type: 'lookUp'; readonly name: string }
  /** The same, for the file of access lines. */
  | { readonly type: 'access'; readonly lines: Uint8Array }
  /** No new client finds a listener any more. */
  | { readonly type: 'draining' }
  /** The loop has ended and every descriptor of the worker is closed. */
  | { readonly type: 'ended' };
