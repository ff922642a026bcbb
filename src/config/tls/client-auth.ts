import { createSecureContext } from 'node:tls';
import { accepted, type Files, type Parsed, refused } from '../values/index.js';
import { cutShort, readCertificates, reasonOf } from './certificate-chain.js';

/** Reads certificates of authorities, as PEM and nothing else. */
export function readAuthorities(path: string, files: Files): Parsed<string> {
  const read = readCertificates(path, files);
  return read.ok ? accepted(read.value.map(String).join('')) : read;
}

const CRL = /-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g;
const BEGIN_CRL = /-----BEGIN X509 CRL-----/g;

const EXPECTED_CRL = 'expected certificate revocation lists (PEM)';

/** Reads a file of revocation lists, as {@link parseRevocationLists} does. */
export function readRevocationLists(path: string, files: Files): Parsed<string> {
  const content = files.read(path);
  return content.ok
    ? parseRevocationLists(content.value)
    : refused(`${content.reason}, ${EXPECTED_CRL}`);
}

/** Finds the revocation lists of a file, as PEM and nothing else. */
export function parseRevocationLists(content: Buffer): Parsed<string> {
  const text = content.toString('latin1');
  const blocks = text.match(CRL) ?? [];
  const begun = text.match(BEGIN_CRL)?.length ?? 0;
  if (begun === 0) return refused(`there is no revocation list in it, ${EXPECTED_CRL}`);
  if (begun > blocks.length) {
    return refused(`${cutShort('revocation list', begun)}, ${EXPECTED_CRL}`);
  }
  try {
    createSecureContext({ crl: blocks });
  } catch (error) {
    return refused(`it cannot be read: ${reasonOf(error)}, ${EXPECTED_CRL}`);
  }
  return accepted(`${blocks.join('\n')}\n`);
}
