import { rootCertificates } from 'node:tls';
import { readContent } from '../../config/index.js';

/** Where distributions keep whom they trust, in one file: Debian, Fedora, openSUSE, RHEL, Alpine. */
const bundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

let known: string | undefined;

/** {@link readSystemAuthorities}, read once: the program has to be restarted for others. */
export function systemAuthorities(): string {
  known ??= readSystemAuthorities(process.env.SSL_CERT_FILE);
  return known;
}

/**
 * Whom this system trusts, PEM: the file SSL_CERT_FILE names, as for every program that uses OpenSSL,
 * else the distribution's, which has what its administrator added, else what Node comes with.
 *
 * @throws Error with one line when that variable leads nowhere: nobody meant to trust others then
 */
export function readSystemAuthorities(file: string | undefined): string {
  if (file) {
    const text = certificatesIn(file);
    if (text !== undefined) return text;
    throw new Error(`SSL_CERT_FILE is ${JSON.stringify(file)}, and has no certificate to read`);
  }
  for (const path of bundles) {
    const text = certificatesIn(path);
    if (text !== undefined) return text;
  }
  return rootCertificates.join('\n');
}

function certificatesIn(path: string): string | undefined {
  const content = readContent(path);
  const text = content.ok ? content.value.toString('latin1') : '';
  return text.includes('-----BEGIN CERTIFICATE-----') ? text : undefined;
}
