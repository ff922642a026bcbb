import type { OcspFacts } from '../../config/index.js';

/** How far a responder's clock may be ahead of ours: what openssl(1) allows in its `ocsp` command. */
const CLOCK_SKEW_MS = 300_000;

/** An OCSP response that is configured, and when it holds. */
export interface OcspValidity extends OcspFacts {
  readonly file: string;
}

/** Why a response should not be sent now, for people; undefined when it may be. */
export function ocspProblem(
  { thisUpdateMs, nextUpdateMs }: OcspFacts,
  nowMs: number,
): string | undefined {
  if (nextUpdateMs !== null && nextUpdateMs <= nowMs) {
    return 'tls: an OCSP response has expired, clients get none: fetch a new one into its file';
  }
  if (thisUpdateMs > nowMs + CLOCK_SKEW_MS) {
    return 'tls: an OCSP response is not valid yet, clients get none: compare the clocks';
  }
  return undefined;
}
