/** Which way captured bytes went: sent by the client, or sent to it on behalf of the upstream. */
export const captureDirections = ['client', 'upstream'] as const;
export type CaptureDirection = (typeof captureDirections)[number];

/** Position of each direction, as entries of the lane say it. */
export const CLIENT = 0;
export const UPSTREAM = 1;

/**
 * Why a capture lacks something, in the words of its record and of the metrics. Their order is part of the
 * shared memory's layout.
 *
 * - `max_bytes`: as much as `max_bytes` was captured
 * - `buffer_full`: the capture thread did not keep up: a slow disk, or more than a disk can take
 * - `refused`: the kernel does not duplicate these bytes
 * - `disk_full`, `disk_error`: the file system said so
 * - `no_room`: the directory has its `max_total`, and nothing in it may be deleted
 * - `directory`: the flow's files could not be made
 * - `worker_died`, `interrupted`: the worker, or the process, ended before the flow did
 */
export const incompleteReasons = [
  'none',
  'max_bytes',
  'buffer_full',
  'refused',
  'disk_full',
  'disk_error',
  'no_room',
  'directory',
  'worker_died',
  'interrupted',
] as const;
export type IncompleteReason = (typeof incompleteReasons)[number];

/** Position of each reason. */
export const Incomplete = Object.fromEntries(
  incompleteReasons.map((reason, index) => [reason, index]),
) as Readonly<Record<IncompleteReason, number>>;

/** What a listener captures, as its worker is told. */
export interface CaptureSnapshot {
  /** Number of the directory; the capture thread knows it by that. */
  readonly store: number;
  /** The part of the flows that is captured, above 0, at most 1. */
  readonly sample: number;
  readonly client: boolean;
  readonly upstream: boolean;
  /** Bytes of one flow, both directions; Infinity for no limit. */
  readonly maxBytes: number;
}
