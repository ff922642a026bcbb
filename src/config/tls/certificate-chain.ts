import { type KeyObject, X509Certificate } from 'node:crypto';
import { accepted, type Files, type Parsed, refused } from '../values/index.js';
import { findPemBlocks, pemKind } from './pem-blocks.js';

const CERTIFICATE = pemKind('certificate', '(?:X509 |TRUSTED )?CERTIFICATE');
const RSA_BITS_MIN = 2048;
const CURVE_BITS_MIN = 224;

/** Reads the certificates of a file, in its order, at least one. */
export function readCertificates(path: string, files: Files): Parsed<X509Certificate[]> {
  const expected = 'expected certificates (PEM)';
  const content = files.read(path);
  if (!content.ok) return refused(`${content.reason}, ${expected}`);
  const blocks = findPemBlocks(content.value.toString('latin1'), CERTIFICATE);
  if (!blocks.ok) return refused(`${blocks.reason}, ${expected}`);
  const certificates: X509Certificate[] = [];
  for (const [index, block] of blocks.value.entries()) {
    try {
      certificates.push(new X509Certificate(block));
    } catch (error) {
      return refused(`certificate ${index + 1} cannot be read: ${reasonOf(error)}, ${expected}`);
    }
  }
  return accepted(certificates);
}

/**
 * Reads a chain to present: the certificate of its owner first, each one signed by the next
 * (RFC 5246 §7.4.2; RFC 8446 §4.4.2 would let servers be careless, and not all clients forgive it).
 */
export function readChain(path: string, files: Files): Parsed<X509Certificate[]> {
  const read = readCertificates(path, files);
  if (!read.ok) return read;
  const weakness = weaknessOf(read.value[0]!.publicKey);
  if (weakness !== null) return refused(weakness);
  const wrong = read.value.slice(1).findIndex((issuer, index) => {
    const subject = read.value[index]!;
    return !subject.checkIssued(issuer) || !subject.verify(issuer.publicKey);
  });
  if (wrong < 0) return read;
  const [subject, other] = [read.value[wrong]!, read.value[wrong + 1]!];
  return refused(
    `certificate ${wrong + 2} (${distinguishedName(other.subject)}) did not sign certificate ${wrong + 1} (${distinguishedName(subject.subject)}), expected the certificate of the server, then the one that signed it, and so on`,
  );
}

/** `CN=R3, O=Let's Encrypt`: Node writes a part a line. */
export function distinguishedName(lines: string): string {
  return lines?.split('\n').reverse().join(', ') || 'without a name';
}

/** What OpenSSL says went wrong, without its code. */
export function reasonOf(error: unknown): string {
  const { reason, message } = error as Error & { reason?: string };
  return reason ?? message.replace(/^error:\w+:/, '');
}

/** Why a public key should not be used any more, or cannot, for TLS; null for one that is well. */
function weaknessOf(key: KeyObject): string | null {
  const expected = `expected RSA of ${RSA_BITS_MIN} bits or more, or ECDSA`;
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss':
      if (modulusLength >= RSA_BITS_MIN) return null;
      return `its key is RSA of ${modulusLength} bits, ${expected}`;
    case 'ec': {
      // The names say it: prime256v1, secp384r1, brainpoolP160r1.
      const bits = Number(/\d{3}/.exec(namedCurve)?.[0] ?? 0);
      return bits >= CURVE_BITS_MIN ? null : `its key is on the curve ${namedCurve}, ${expected}`;
    }
    case 'ed25519':
    case 'ed448':
      return null;
    default:
      return `its key is ${key.asymmetricKeyType}, ${expected}`;
  }
}
