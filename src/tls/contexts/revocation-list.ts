import { NativeMemory } from '../../splice/index.js';
import type { OpenSsl } from '../openssl/index.js';
import { nameText } from './name-text.js';
import { readRevocationLists } from './pem.js';

/** What is known of a certificate revocation list (RFC 5280 §5.1.2). */
export interface RevocationListFacts {
  readonly issuer: string;
  readonly thisUpdateMs: number;
  /** When there is to be a newer one; null where it does not say. */
  readonly nextUpdateMs: number | null;
}

/** `struct tm` begins with seconds, minutes, hours, day, month from 0, years since 1900 (ctime(3)). */
const tm = new NativeMemory(64);
const fields = new Int32Array(tm.bytes.buffer, 0, 6);

/**
 * Reads the dates of revocation lists. Of several of one issuer OpenSSL takes one that holds: here it
 * is the one that ends last.
 *
 * @throws TlsError when the text is not right
 */
export function readRevocationDates(openssl: OpenSsl, pem: string): RevocationListFacts[] {
  const lists = readRevocationLists(openssl, pem, 'the revocation lists');
  try {
    const latest = new Map<string, RevocationListFacts>();
    for (const one of lists.map((list) => factsOf(openssl, list))) {
      const known = latest.get(one.issuer);
      if (known === undefined || endOf(one) > endOf(known)) latest.set(one.issuer, one);
    }
    return [...latest.values()];
  } finally {
    for (const list of lists) openssl.X509_CRL_free(list);
  }
}

function factsOf(openssl: OpenSsl, list: number): RevocationListFacts {
  const next = openssl.X509_CRL_get0_nextUpdate(list);
  return {
    issuer: nameText(openssl, openssl.X509_CRL_get_issuer(list)),
    thisUpdateMs: timeOf(openssl, openssl.X509_CRL_get0_lastUpdate(list)),
    nextUpdateMs: next === 0 ? null : timeOf(openssl, next),
  };
}

function endOf({ nextUpdateMs }: RevocationListFacts): number {
  return nextUpdateMs ?? Number.POSITIVE_INFINITY;
}

/** @param time address of an ASN1_TIME; one that is none was never */
function timeOf(openssl: OpenSsl, time: number): number {
  if (openssl.ASN1_TIME_to_tm(time, tm.address) !== 1) return 0;
  const [second, minute, hour, day, month, year] = fields as unknown as [
    ...[number, number, number],
    ...[number, number, number],
  ];
  return Date.UTC(year + 1900, month, day, hour, minute, second);
}
