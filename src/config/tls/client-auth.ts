import { createSecureContext } from 'node:tls';
import { accepted, type Files, type Parsed, refused } from '../values/index.js';
import { readCertificates, reasonOf } from './certificate-chain.js';
import { findPemBlocks, pemKind } from './pem-blocks.js';

/** Reads certificates of authorities, as PEM and nothing else. */
export function readAuthorities(path: string, files: Files): Parsed<string> {
  const read = readCertificates(path, files);
  return read.ok ? accepted(read.value.map(String).join('')) : read;
}

const CRL = pemKind('revocation list', 'X509 CRL');

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
  const blocks = findPemBlocks(content.toString('latin1'), CRL);
  if (!blocks.ok) return refused(`${blocks.reason}, ${EXPECTED_CRL}`);
  try {
    createSecureContext({ crl: blocks.value });
  } catch (error) {
    return refused(`it cannot be read: ${reasonOf(error)}, ${EXPECTED_CRL}`);
  }
  return accepted(`${blocks.value.join('\n')}\n`);
}
