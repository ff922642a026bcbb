// Certificates of a private authority for 127.0.0.1 and `health.test`: good, expired, and one signed by itself.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  /** PEM of the authority. */
  readonly ca: string;
  readonly good: Certificate;
  readonly expired: Certificate;
  readonly selfSigned: Certificate;
}

/** @throws Error when openssl(1) does not do what it is told */
export function makeCertificates(): Certificates {
  const directory = mkdtempSync(join(tmpdir(), 'headgate-certificates-'));
  const path = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const read = (name: string) => readFileSync(path(name), 'utf8');
  const signSelf = (name: string, subject: string) =>
    openssl('req', '-x509', ...newKey, '-subj', subject, '-days', '30', ...files(name));
  const files = (name: string) => ['-keyout', path(`${name}.key`), '-out', path(`${name}.pem`)];
  const sign = (name: string, days: string) => {
    const request = ['-keyout', path(`${name}.key`), '-out', path(`${name}.csr`)];
    openssl('req', ...newKey, '-subj', '/CN=health.test', ...request);
    const authority = ['-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial'];
    const input = ['-in', path(`${name}.csr`), '-out', path(`${name}.pem`)];
    openssl('x509', '-req', ...input, ...authority, '-extfile', path('san'), '-days', days);
  };
  try {
    writeFileSync(path('san'), 'subjectAltName=DNS:health.test,IP:127.0.0.1\n');
    signSelf('ca', '/CN=Headgate test authority');
    signSelf('self', '/CN=health.test');
    sign('good', '30');
    sign('expired', '-1');
    const pair = (name: string) => ({ cert: read(`${name}.pem`), key: read(`${name}.key`) });
    return {
      ca: read('ca.pem'),
      good: pair('good'),
      expired: pair('expired'),
      selfSigned: pair('self'),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
