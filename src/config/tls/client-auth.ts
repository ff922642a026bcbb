import { createSecureContext } from 'node:tls';
import type { Files } from '../files.js';
import { accepted, type Parsed, refused } from '../parsed.js';
import { readCertificates, reasonOf } from './certificate-chain.js';

/** Reads certificates of authorities, as PEM and nothing else. */
export function readAuthorities(path: string, files: Files): Parsed<string> {
  const read = readCertificates(path, files);
  return read.ok ? accepted(read.value.map(String).join('')) : read;
}

const CRL = /-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g;

/** Reads revocation lists, as PEM. */
export function readRevocationLists(path: string, files: Files): Parsed<string> {
  const expected = 'expected certificate revocation lists (PEM)';
  const content = files.read(path);
  if (!content.ok) return refused(`${content.reason}, ${expected}`);
  const blocks = content.value.toString('latin1').match(CRL) ?? [];
  if (blocks.length === 0) return refused(`there is no revocation list in it, ${expected}`);
  try {
    createSecureContext({ crl: blocks });
  } catch (error) {
    return refused(`it cannot be read: ${reasonOf(error)}, ${expected}`);
  }
  return accepted(`${blocks.join('\n')}\n`);
}
