import type { MessagePort } from 'node:worker_threads';
import type { StoreSettings } from './capture-store.js';

/** What the capture thread is started with (`workerData`). */
export interface RecorderStart {
  readonly port: MessagePort;
  /** Rung after each message. */
  readonly bell: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  /** Messages that were announced to capture threads before this one. */
  readonly messagesBefore: number;
}

/** Control thread to capture thread, in this order: what follows relies on what came before. */
export type ToRecorder =
  /** Directories, new ones and those whose limits are others. */
  | { readonly type: 'stores'; readonly stores: readonly StoreSettings[] }
  /** A worker's lane, its pipes open. */
  | { readonly type: 'lane'; readonly id: number; readonly memory: SharedArrayBuffer }
  /** Its worker is gone: take what is left. Answered by `retired`. */
  | { readonly type: 'retire'; readonly id: number }
  | { readonly type: 'stop' };

export type FromRecorder =
  | {
      readonly type: 'log';
      readonly level: 'warn' | 'error';
      readonly fields: object;
      readonly text: string;
    }
  /** Nothing of that lane is used here any more. */
  | { readonly type: 'retired'; readonly id: number }
  /** Nothing of that lane makes sense any more. */
  | { readonly type: 'broken'; readonly id: number };
