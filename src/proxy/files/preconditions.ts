import { isTag, listHasTag } from './entity-tag.js';
import { parseHttpTime } from './http-time.js';

/** What a request asks before it is served; undefined where it does not. */
export interface Conditions {
  readonly ifMatch: string | undefined;
  readonly ifUnmodifiedSince: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
}

/** What is known of the selected representation. */
export interface Validators {
  /** As it is sent; empty without one. */
  readonly tag: string;
  /** Seconds since 1970. */
  readonly modifiedSec: number;
  /** The same, as it is sent. */
  readonly modified: string;
}

/** What is to be done with a request (RFC 9110 §13.2.2). */
export const Verdict = {
  perform: 0,
  /** 304. */
  not_modified: 1,
  /** 412. */
  failed: 2,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/**
 * Evaluates the preconditions of a GET or HEAD, in the order of RFC 9110 §13.2.2: tags before dates, and
 * conditions for going on before those for sparing the content.
 *
 * @param nowMs wall-clock time, ms since 1970
 */
export function evaluate(conditions: Conditions, known: Validators, nowMs: number): Verdict {
  const { ifMatch, ifUnmodifiedSince, ifNoneMatch, ifModifiedSince } = conditions;
  if (ifMatch !== undefined) {
    if (!listHasTag(ifMatch, known.tag, 'strong')) return Verdict.failed;
  } else if (ifUnmodifiedSince !== undefined) {
    const sec = parseHttpTime(ifUnmodifiedSince, nowMs);
    if (sec !== undefined && known.modifiedSec > sec) return Verdict.failed;
  }
  // Clients say what they were told, to the letter: that needs no parser.
  if (ifNoneMatch !== undefined) {
    const isKnown = ifNoneMatch === known.tag && known.tag !== '';
    return isKnown || listHasTag(ifNoneMatch, known.tag, 'weak')
      ? Verdict.not_modified
      : Verdict.perform;
  }
  if (ifModifiedSince === undefined) return Verdict.perform;
  if (ifModifiedSince === known.modified) return Verdict.not_modified;
  const sec = parseHttpTime(ifModifiedSince, nowMs);
  return sec !== undefined && known.modifiedSec <= sec ? Verdict.not_modified : Verdict.perform;
}

/** A date is a strong validator if the file could have been written once only in its second (RFC 9110 §8.8.2.2). */
const STRONG_DATE_MS = 1000;

/**
 * Whether a request's Range counts (RFC 9110 §13.1.5): the representation it has a part of is still this one.
 *
 * @param ifRange value of If-Range
 */
export function rangeApplies(ifRange: string, known: Validators, nowMs: number): boolean {
  if (isTag(ifRange)) return !ifRange.includes(',') && listHasTag(ifRange, known.tag, 'strong');
  const sec = parseHttpTime(ifRange, nowMs);
  return sec === known.modifiedSec && nowMs - known.modifiedSec * 1000 > STRONG_DATE_MS;
}
