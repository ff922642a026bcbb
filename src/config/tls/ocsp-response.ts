import type { X509Certificate } from 'node:crypto';
import { createRequire } from 'node:module';
import type { SingleResponse } from '@peculiar/asn1-ocsp';
import { accepted, type Parsed, refused } from '../parsed.js';
import { reasonOf } from './certificate-chain.js';

const EXPECTED = 'expected an OCSP response (DER)';
/** What an OCSP response says of one certificate. */
export interface OcspFacts {
  /** From when on it holds. */
  readonly thisUpdateMs: number;
  /** When there is to be a newer one; null where it does not say. */
  readonly nextUpdateMs: number | null;
}

/**
 * Reads an OCSP response (RFC 6960 §4.2.1) and finds what it says of a certificate. Its signature is
 * for clients to check: whoever could write the file could write the key, too.
 */
export function parseOcspResponse(der: Uint8Array, subject: X509Certificate): Parsed<OcspFacts> {
  let answer: SingleResponse | undefined;
  try {
    const found = findAnswer(der, subject);
    if (typeof found === 'string') return refused(`${found}, ${EXPECTED}`);
    answer = found;
  } catch (error) {
    return refused(`it cannot be read: ${reasonOf(error)}, ${EXPECTED}`);
  }
  if (answer === undefined) {
    return refused(
      `it says nothing of the certificate with the serial number ${subject.serialNumber}, expected the OCSP response for that one`,
    );
  }
  const { good, revoked } = answer.certStatus;
  if (revoked !== undefined) {
    return refused('it says that the certificate is revoked, expected one that is good');
  }
  if (good === undefined) {
    return refused('it says that the certificate is unknown, expected one that is good');
  }
  return accepted({
    thisUpdateMs: answer.thisUpdate.getTime(),
    nextUpdateMs: answer.nextUpdate?.getTime() ?? null,
  });
}

/** The answer for a certificate, if there is one, or why there is none for anybody. */
function findAnswer(der: Uint8Array, subject: X509Certificate) {
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
  // Serial numbers are random and long: the issuer's name and key need not be compared.
  const serial = BigInt(`0x${subject.serialNumber}`);
  return tbsResponseData.responses.find(({ certID }) => integer(certID.serialNumber) === serial);
}

function integer(bytes: ArrayBuffer): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}
