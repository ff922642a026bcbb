/**
 * Why a route does not serve a request, counted by these names. 0 is no refusal.
 */
export const Refusal = {
  none: 0,
  /** The client's address is not one of those that may: 403. */
  denied: 1,
  /** No password, or not the right one: 401. */
  unauthorized: 2,
  /** More passwords to look at than there is time for: 503. */
  authentication_busy: 3,
  /** More requests of its kind than the route's rate: 429. */
  rate_limited: 4,
  /** As many requests under way as the route serves at a time: 503. */
  concurrency_limited: 5,
  /** The body is longer than the route takes: 413. */
  body_too_large: 6,
  /** The request does not say where it goes, or must not go there: 403. */
  target_denied: 7,
  /** CONNECT, and the route is no forward proxy: 501. */
  connect_refused: 8,
  /** The name that was asked for leads to an address where it must not: 502. */
  address_denied: 9,
} as const;
export type Refusal = (typeof Refusal)[keyof typeof Refusal];

export type RefusalName = Exclude<keyof typeof Refusal, 'none'>;

/** Names in the order of their codes, which begin at 1: `refusalNames[code - 1]`. */
export const refusalNames = Object.keys(Refusal).slice(1) as readonly RefusalName[];

const statuses: Readonly<Record<Refusal, number>> = {
  [Refusal.none]: 200,
  [Refusal.denied]: 403,
  [Refusal.unauthorized]: 401,
  [Refusal.authentication_busy]: 503,
  [Refusal.rate_limited]: 429,
  [Refusal.concurrency_limited]: 503,
  [Refusal.body_too_large]: 413,
  [Refusal.target_denied]: 403,
  [Refusal.connect_refused]: 501,
  // RFC 9209 §2.3.5.
  [Refusal.address_denied]: 502,
};

/** The status that tells a client. */
export function refusalStatus(refusal: Refusal): number {
  return statuses[refusal];
}
