import type { KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Files } from '../values/index.js';
import { distinguishedName, readChain, reasonOf } from './certificate-chain.js';
import { certificateNames, isCovered } from './certificate-names.js';
import { parseOcspResponse } from './ocsp-response.js';
import { readPrivateKey } from './private-key.js';

/** What the file says of a certificate; names are as they are compared. */
export interface CertificateKeys {
  readonly cert: string;
  readonly key?: string | undefined;
  readonly passphrase_file?: string | undefined;
  readonly ocsp?: string | undefined;
  readonly names?: readonly string[] | undefined;
}

/** From when to when a certificate holds. */
export interface CertificateDates {
  /** Its owner, as far as the certificate says. */
  readonly subject: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A certificate with its key, read and found to belong together. */
export interface CertificateConfig extends CertificateDates {
  /** Where it came from, for people. */
  readonly file: string;
  /** What clients ask for; empty: it is for nobody's question. */
  readonly names: readonly string[];
  /** Of those that lead from it to the root, as far as they are in the file. */
  readonly issuers: readonly CertificateDates[];
  /** PEM, all of the chain. */
  readonly chain: string;
  /** PEM, decrypted. */
  readonly privateKey: string;
  /** Where the OCSP response is; null for none. */
  readonly ocspFile: string | null;
}

type PemPair = Pick<CertificateConfig, 'chain' | 'privateKey'>;

/** What is wrong with one of the keys; the reason ends the sentence `KEY is VALUE: …`. */
export interface CertificateProblem {
  readonly key: keyof CertificateKeys;
  /** Of a list, the item. */
  readonly index?: number;
  readonly reason: string;
}

export interface ReadCertificate {
  /** Only without problems. */
  readonly value?: CertificateConfig;
  readonly problems: readonly CertificateProblem[];
}

/** Reads a certificate and all that belongs to it; finds everything that is wrong at one time. */
export function readCertificate(keys: CertificateKeys, files: Files): ReadCertificate {
  const problems: CertificateProblem[] = [];
  const chain = readChain(keys.cert, files);
  if (!chain.ok) problems.push({ key: 'cert', reason: chain.reason });
  const keyPath = keys.key ?? keys.cert;
  const isKeyReadable = keys.key !== undefined || files.read(keys.cert).ok;
  const key = readPrivateKey({ path: keyPath, passphraseFile: keys.passphrase_file }, files);
  if (!key.ok && isKeyReadable) {
    const place = key.at === 'key' && keys.key === undefined ? 'cert' : key.at;
    problems.push({ key: place, reason: key.reason });
  }
  const [leaf] = chain.ok ? (chain.value as [X509Certificate]) : [];
  const ownNames = leaf === undefined ? [] : certificateNames(leaf);
  let pair: PemPair | undefined;
  if (chain.ok && key.ok) {
    pair = {
      chain: chain.value.map(String).join(''),
      privateKey: key.value.export({ type: 'pkcs8', format: 'pem' }) as string,
    };
    const mismatch = mismatchOf(chain.value, key.value) ?? refusalOf(pair);
    if (mismatch !== null) {
      problems.push({ key: keys.key === undefined ? 'cert' : 'key', reason: mismatch });
    }
  }
  for (const [index, name] of (keys.names ?? []).entries()) {
    if (leaf === undefined || isCovered(name, ownNames)) continue;
    const expected = ownNames.length === 0 ? 'a certificate with names' : ownNames.join(', ');
    problems.push({
      key: 'names',
      index,
      reason: `not a name of ${keys.cert}, expected ${expected}`,
    });
  }
  const ocsp = keys.ocsp === undefined ? null : ocspProblem(keys.ocsp, leaf, files);
  if (ocsp !== null) problems.push({ key: 'ocsp', reason: ocsp });
  if (problems.length > 0 || leaf === undefined || !chain.ok || pair === undefined) {
    return { problems };
  }
  const value = {
    file: keys.cert,
    names: keys.names ?? ownNames,
    ...datesOf(leaf),
    issuers: chain.value.slice(1).map(datesOf),
    ...pair,
    ocspFile: keys.ocsp ?? null,
  };
  return { value, problems };
}

function datesOf({ subject, validFrom, validTo }: X509Certificate): CertificateDates {
  return {
    subject: distinguishedName(subject),
    notBeforeMs: Date.parse(validFrom),
    notAfterMs: Date.parse(validTo),
  };
}

/** Why key and chain do not belong together; null when they do. */
function mismatchOf(chain: readonly X509Certificate[], key: KeyObject): string | null {
  const owner = chain.findIndex((one) => one.checkPrivateKey(key));
  if (owner === 0) return null;
  return owner < 0
    ? 'it is not the key of the certificate, expected the one that was made with it'
    : `it is the key of certificate ${owner + 1} of the chain, expected that one to be the first`;
}

/** What OpenSSL has against them, by the same calls that workers will make; null for nothing. */
function refusalOf({ chain, privateKey }: PemPair): string | null {
  try {
    createSecureContext({ cert: chain, key: privateKey });
    return null;
  } catch (error) {
    return `OpenSSL does not take it: ${reasonOf(error)}, expected a certificate and its key`;
  }
}

/** @param leaf the certificate that it is about; without one only whether the file can be read is told */
function ocspProblem(path: string, leaf: X509Certificate | undefined, files: Files): string | null {
  const content = files.read(path);
  if (!content.ok) return `${content.reason}, expected an OCSP response (DER)`;
  if (leaf === undefined) return null;
  const parsed = parseOcspResponse(content.value, leaf);
  return parsed.ok ? null : parsed.reason;
}
