import type { CertificateDates, OcspFacts } from '../../config/index.js';
import type { RevocationListFacts } from '../../tls/index.js';

const DAY_MS = 86_400_000;
/** From when on an end is near, of what lasts long enough. */
const WARN_MS = 14 * DAY_MS;
/** What lasts for days is renewed when a third of that is left, or half: warnings are for those who do not. */
const WARN_PART = 4;
/** How far the clock of whoever signed may be ahead of ours: what openssl(1) allows in its `ocsp` command. */
const CLOCK_SKEW_MS = 300_000;

/** Whose it is, as log fields and labels of metrics. */
export type ValidityOwner = { readonly listener: string } | { readonly upstream: string };

/** Something TLS is done with that holds from one time to another. */
export interface Validity {
  readonly kind: 'certificate' | 'ocsp_response' | 'revocation_list';
  readonly owner: ValidityOwner;
  /** A server name, or else the owner of a certificate; the issuer of a list. */
  readonly name: string;
  /** Where it came from; nothing for one that was made here. */
  readonly file: string | undefined;
  readonly notBeforeMs: number;
  /** null: it does not end. */
  readonly notAfterMs: number | null;
  /** An OCSP response about another certificate than the one it is configured for. */
  readonly isMisplaced?: boolean;
}

/** What people should know of something now, in a few words; undefined for nothing. */
export function validityProblem(validity: Validity, nowMs: number): string | undefined {
  const { kind, notBeforeMs, notAfterMs } = validity;
  if (validity.isMisplaced) {
    return 'an OCSP response is about another certificate, clients get none: fetch one for this';
  }
  if (notAfterMs !== null && notAfterMs <= nowMs) return ended[kind];
  // A certificate's begin is its issuer's to choose; clients take it to the second.
  const skewMs = kind === 'ocsp_response' ? CLOCK_SKEW_MS : 0;
  if (notBeforeMs > nowMs + skewMs) return early[kind];
  if (notAfterMs === null) return undefined;
  const warnMs = Math.min(WARN_MS, (notAfterMs - notBeforeMs) / WARN_PART);
  return notAfterMs - nowMs < warnMs ? soon[kind] : undefined;
}

/** Whether an OCSP response may be sent now: a client that gets an old one may refuse the connection. */
export function isSendable({ isAboutIt, thisUpdateMs, nextUpdateMs }: OcspFacts, nowMs: number) {
  const hasEnded = nextUpdateMs !== null && nextUpdateMs <= nowMs;
  return isAboutIt && !hasEnded && thisUpdateMs <= nowMs + CLOCK_SKEW_MS;
}

type Texts = Readonly<Record<Validity['kind'], string>>;

const ended: Texts = {
  certificate: 'a certificate has expired',
  ocsp_response: 'an OCSP response has expired, clients get none: fetch a new one into its file',
  revocation_list:
    'a revocation list is out of date, clients with certificates get in no more: fetch a new one into its file',
};

const early: Texts = {
  certificate: 'a certificate is not valid yet',
  ocsp_response: 'an OCSP response is not valid yet, clients get none: compare the clocks',
  revocation_list:
    'a revocation list is not valid yet, clients with certificates do not get in: compare the clocks',
};

const soon: Texts = {
  certificate: 'a certificate expires soon',
  ocsp_response: 'an OCSP response expires soon: whoever renews its file may have stopped',
  revocation_list:
    'a revocation list is soon out of date: whoever renews its file may have stopped',
};

/** Of a certificate in a file, and of those that lead from it to the root. */
export function certificateValidities(
  owner: ValidityOwner,
  name: string,
  file: string,
  { notBeforeMs, notAfterMs, issuers }: CertificateDates & { issuers: readonly CertificateDates[] },
): Validity[] {
  const common = { kind: 'certificate', owner, file } as const;
  return [
    { ...common, name, notBeforeMs, notAfterMs },
    ...issuers.map(({ subject, ...dates }) => ({ ...common, name: subject, ...dates })),
  ];
}

export function ocspValidity(
  owner: ValidityOwner,
  name: string,
  file: string,
  { isAboutIt, thisUpdateMs: notBeforeMs, nextUpdateMs: notAfterMs }: OcspFacts,
): Validity {
  const isMisplaced = !isAboutIt;
  return { kind: 'ocsp_response', owner, name, file, notBeforeMs, notAfterMs, isMisplaced };
}

export function revocationValidity(
  owner: ValidityOwner,
  file: string,
  { issuer: name, thisUpdateMs: notBeforeMs, nextUpdateMs: notAfterMs }: RevocationListFacts,
): Validity {
  return { kind: 'revocation_list', owner, name, file, notBeforeMs, notAfterMs };
}
