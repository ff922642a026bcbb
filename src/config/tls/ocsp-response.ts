import type { X509Certificate } from 'node:crypto';
import { createRequire } from 'node:module';
import type { SingleResponse } from '@peculiar/asn1-ocsp';
import { accepted, type Parsed, refused } from '../values/index.js';
import { reasonOf } from './certificate-chain.js';

const EXPECTED = 'expected an OCSP response (DER)';

/** What an OCSP response says of one certificate. */
export interface OcspFacts {
  /** It is about that certificate; false: about others only, whose dates these are. */
  readonly isAboutIt: boolean;
  /** From when on it holds. */
  readonly thisUpdateMs: number;
  /** When there is to be a newer one; null where it does not say. */
  readonly nextUpdateMs: number | null;
}

/**
 * Reads an OCSP response (RFC 6960 §4.2.1) and finds what it says of a certificate. Its signature is
 * for clients to check: whoever could write the file could write the key, too. One that is about another
 * certificate is no error: after a renewal the certificate is there before the response.
 */
export function parseOcspResponse(der: Uint8Array, subject: X509Certificate): Parsed<OcspFacts> {
  let answer: SingleResponse | undefined;
  let others: readonly SingleResponse[];
  try {
    const found = readAnswers(der);
    if (typeof found === 'string') return refused(`${found}, ${EXPECTED}`);
    answer = found.find(({ certID }) => integer(certID.serialNumber) === serialOf(subject));
    others = found;
  } catch (error) {
    return refused(`it cannot be read: ${reasonOf(error)}, ${EXPECTED}`);
  }
  if (answer === undefined) {
    const [other] = others;
    if (other === undefined) return refused(`it says nothing of anybody, ${EXPECTED}`);
    return accepted(factsOf(other, false));
  }
  const { good, revoked } = answer.certStatus;
  if (revoked !== undefined) {
    return refused('it says that the certificate is revoked, expected one that is good');
  }
  if (good === undefined) {
    return refused('it says that the certificate is unknown, expected one that is good');
  }
  return accepted(factsOf(answer, true));
}

function factsOf({ thisUpdate, nextUpdate }: SingleResponse, isAboutIt: boolean): OcspFacts {
  return {
    isAboutIt,
    thisUpdateMs: thisUpdate.getTime(),
    nextUpdateMs: nextUpdate?.getTime() ?? null,
  };
}

/** The answers, or why there are none. */
function readAnswers(der: Uint8Array): readonly SingleResponse[] | string {
  // Loaded for those who staple, because it takes as long as everything else at start.
  const load = createRequire(import.meta.url);
  const { AsnConvert } = load('@peculiar/asn1-schema') as typeof import('@peculiar/asn1-schema');
  const ocsp = load('@peculiar/asn1-ocsp') as typeof import('@peculiar/asn1-ocsp');
  const response = AsnConvert.parse(der, ocsp.OCSPResponse);
  const status: number = response.responseStatus;
  if (status !== ocsp.OCSPResponseStatus.successful) {
    return `it is not an answer but the error ${ocsp.OCSPResponseStatus[status] ?? status}`;
  }
  if (response.responseBytes?.responseType !== ocsp.id_pkix_ocsp_basic) {
    return 'it is not of the basic type';
  }
  const { tbsResponseData } = AsnConvert.parse(
    response.responseBytes.response.buffer,
    ocsp.BasicOCSPResponse,
  );
  return tbsResponseData.responses;
}

/** Serial numbers are random and long: the issuer's name and key need not be compared. */
function serialOf({ serialNumber }: X509Certificate): bigint {
  return BigInt(`0x${serialNumber}`);
}

function integer(bytes: ArrayBuffer): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}
