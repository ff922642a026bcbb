import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';

const DAYS = 90;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** Object identifiers: RFC 5758 §3.2, RFC 5280 §4.2.1.12, X.520. */
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const COMMON_NAME = '2.5.4.3';

/** A certificate that nobody but its maker vouches for, PEM. */
export interface SelfSigned {
  readonly chain: string;
  readonly key: string;
  /** Those of its names that clients can ask for. */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/**
 * Makes a certificate for development: ECDSA P-256, signed by itself, good for 90 days.
 *
 * @param names of servers, and addresses; `localhost` brings 127.0.0.1 and ::1 along
 */
export function makeSelfSigned(names: readonly string[], nowMs: number): SelfSigned {
  // Loaded for those who want one, because it takes as long as everything else at start.
  const load = createRequire(import.meta.url);
  const asn1 = load('@peculiar/asn1-schema') as typeof import('@peculiar/asn1-schema');
  const x509 = load('@peculiar/asn1-x509') as typeof import('@peculiar/asn1-x509');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const owner = new x509.Name([
    new x509.RelativeDistinguishedName([
      new x509.AttributeTypeAndValue({
        type: COMMON_NAME,
        value: new x509.AttributeValue({ utf8String: `Headgate development: ${names[0]}` }),
      }),
    ]),
  ]);
  const extension = (extnID: string, value: object, critical = false) =>
    new x509.Extension({
      extnID,
      critical,
      extnValue: new asn1.OctetString(asn1.AsnConvert.serialize(value)),
    });
  const alternatives = withLoopback(names).map((name) =>
    isIP(name) === 0
      ? new x509.GeneralName({ dNSName: name })
      : new x509.GeneralName({ iPAddress: name }),
  );
  const algorithm = new x509.AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  // Clocks of clients differ a little.
  const notBefore = new Date(nowMs - 5 * MINUTE_MS);
  const notAfter = new Date(nowMs + DAYS * DAY_MS);
  const usage = new x509.KeyUsage(x509.KeyUsageFlags.digitalSignature);
  const tbsCertificate = new x509.TBSCertificate({
    version: x509.Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer: owner,
    validity: new x509.Validity({ notBefore, notAfter }),
    subject: owner,
    subjectPublicKeyInfo: asn1.AsnConvert.parse(spki, x509.SubjectPublicKeyInfo),
    extensions: new x509.Extensions([
      extension(x509.id_ce_basicConstraints, new x509.BasicConstraints({ cA: false }), true),
      extension(x509.id_ce_keyUsage, usage, true),
      extension(x509.id_ce_extKeyUsage, new x509.ExtendedKeyUsage([SERVER_AUTH])),
      extension(x509.id_ce_subjectAltName, new x509.SubjectAlternativeName(alternatives)),
    ]),
  });
  const signature = sign('sha256', new Uint8Array(asn1.AsnConvert.serialize(tbsCertificate)), {
    key: privateKey,
    dsaEncoding: 'der',
  });
  const der = asn1.AsnConvert.serialize(
    new x509.Certificate({
      tbsCertificate,
      signatureAlgorithm: algorithm,
      signatureValue: Uint8Array.from(signature).buffer,
    }),
  );
  return {
    chain: pem(Buffer.from(der)),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    names: names.filter((name) => isIP(name) === 0),
    notBeforeMs: notBefore.getTime(),
    notAfterMs: notAfter.getTime(),
  };
}

function withLoopback(names: readonly string[]): string[] {
  const loopback = names.includes('localhost') ? ['127.0.0.1', '::1'] : [];
  return [...new Set([...names, ...loopback])];
}

/** Positive, and not longer than 20 bytes (RFC 5280 §4.1.2.2). */
function serialNumber(): ArrayBuffer {
  const bytes = Uint8Array.from(randomBytes(16));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.buffer;
}

/** RFC 7468 §2 */
function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
