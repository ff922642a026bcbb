import { HeaderName, type HeadWriter, Method, type RequestHead } from '../message/index.js';
import type { CanonicalPath, HttpClient } from '../routing/index.js';
import type { Target } from '../split.js';

/** More is as good as this: RFC 9110 §7.6.2 lets whoever counts down begin at the most that it can. */
const FORWARDS_MAX = 1_000_000_000;
/** A longer id of a client is not kept. */
const REQUEST_ID_BYTES_MAX = 200;

/** What rewriting may need to know of a request; good as long as its head is. */
export interface RequestContext {
  readonly head: RequestHead;
  readonly client: HttpClient;
  /** The path as routes have compared it. */
  readonly path: CanonicalPath;
  readonly listener: string;
  readonly routeName: string;
  /** Where the request goes; nothing while that is open, and for one that is answered here. */
  readonly target: Target | undefined;
  /** What the client's cookie of the route's `sticky` says, or will say; nothing without `sticky`. */
  readonly stickyValue: string | undefined;
  /** The client has no such cookie yet, and gets one. */
  readonly isStickyNew: boolean;
  writeRequestId(out: HeadWriter): void;
  /** Writes X-Request-Id with an id of ours. */
  writeRequestIdLine(out: HeadWriter): void;
}

/** Index of the client's X-Request-Id if it can be kept, or −1. */
export function keptRequestId(head: RequestHead): number {
  const index = head.find(HeaderName.x_request_id);
  if (index < 0) return -1;
  const length = head.valueEnd(index) - head.valueStart(index);
  return length > 0 && length <= REQUEST_ID_BYTES_MAX ? index : -1;
}

/**
 * How many proxies may still pass the request on (RFC 9110 §7.6.2); −1 where that is not said, or means nothing: of
 * other methods than TRACE and OPTIONS.
 */
export function maxForwards(head: RequestHead): number {
  if (head.method !== Method.OPTIONS && head.method !== Method.TRACE) return -1;
  const index = head.find(HeaderName.max_forwards);
  if (index < 0) return -1;
  const value = head.value(index);
  return /^\d+$/.test(value) ? Math.min(Number(value), FORWARDS_MAX) : -1;
}
