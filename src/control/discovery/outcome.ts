import dns from 'node:dns';

/** How a lookup ended, in the words of the log. The keys are the label of the metric. */
export const outcomeReasons = {
  answered: 'answered',
  /** NODATA: the name exists, and has no address that could be connected to. */
  empty: 'the name has no addresses',
  /** NXDOMAIN */
  not_found: 'there is no such name',
  /** SERVFAIL: the resolver could not find out. */
  server_failure: 'the resolver failed (SERVFAIL)',
  refused: 'the resolver refused to answer',
  timeout: 'no answer in time',
  unreachable: 'no resolver can be reached',
  malformed: 'the answer could not be read',
} as const;
export type LookupOutcome = keyof typeof outcomeReasons;
export type LookupFailure = Exclude<LookupOutcome, 'answered'>;

export const lookupOutcomes = Object.keys(outcomeReasons) as LookupOutcome[];

/** What was found, or why nothing was. */
export type Found<What> = ({ readonly outcome: 'answered' } & What) | Failed;

export interface Failed {
  readonly outcome: LookupFailure;
}

const failures: Readonly<Record<string, LookupFailure>> = {
  [dns.NODATA]: 'empty',
  [dns.NOTFOUND]: 'not_found',
  [dns.SERVFAIL]: 'server_failure',
  [dns.REFUSED]: 'refused',
  [dns.NOTIMP]: 'refused',
  [dns.TIMEOUT]: 'timeout',
  // Only a lookup that took too long is cancelled and still listened to.
  [dns.CANCELLED]: 'timeout',
  [dns.CONNREFUSED]: 'unreachable',
};

/** @param code what c-ares calls it, the `code` of the errors of node:dns */
export function failureOf(code: string | undefined): LookupFailure {
  return failures[code ?? ''] ?? 'malformed';
}

/** Whether the resolver gave a definite answer: asking for another name may be worth it. */
export function isDefinite(failure: LookupFailure): boolean {
  return failure === 'empty' || failure === 'not_found';
}
