import type { CloseReason } from '../counters.js';

/** What a request has taken too long for, counted by these names. 0 is nothing. */
export const Lateness = {
  none: 0,
  /** All of it: `timeouts.request`. */
  request: 1,
  /** The beginning of its response: `timeouts.response`. */
  response: 2,
  /** Nothing has moved: `timeouts.idle`. */
  idle: 3,
  /** The client sends its body too slowly: `limits.min_body_rate`. */
  body_rate: 4,
} as const;
export type Lateness = (typeof Lateness)[keyof typeof Lateness];
export type LatenessName = Exclude<keyof typeof Lateness, 'none'>;

/** Names in the order of their codes, which begin at 1: `latenessNames[code - 1]`. */
export const latenessNames = Object.keys(Lateness).slice(1) as readonly LatenessName[];

const reasons: Readonly<Record<LatenessName, CloseReason>> = {
  request: 'request_timeout',
  response: 'response_timeout',
  idle: 'idle_timeout',
  body_rate: 'body_too_slow',
};

/** Why a connection ends when there can be no answer any more. */
export function latenessReason(lateness: Exclude<Lateness, 0>): CloseReason {
  return reasons[latenessNames[lateness - 1]!];
}
