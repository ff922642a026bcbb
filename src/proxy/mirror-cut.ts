import { cutReasons } from '../splice/index.js';

/**
 * Why a shadow did not get all of a flow or a request. The first are those of its tap: `full`: it was
 * slower than the client for too long; `no_pipe`, `refused`, `failed`: there was no pipe for the bytes,
 * or they could not be put into it. `busy`: as many were being mirrored as may be, so this one was not;
 * `unconnected`: there was no connection; `reset`: it broke; `answered`: it answered before it had all;
 * `timeout`: it did not take the rest, or did not answer, in time after the end.
 */
export const mirrorCuts = [
  ...cutReasons,
  'busy',
  'unconnected',
  'reset',
  'answered',
  'timeout',
] as const;
export type MirrorCut = (typeof mirrorCuts)[number];
