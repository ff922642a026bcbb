import { readContent } from './files.js';
import { accepted, type Parsed, refused } from './parsed.js';

/** What a message calls these values. */
export const CERTIFICATE_FILE = 'a file of certificates (PEM)';

/** Reads a file of certificates; a relative path begins at the working directory. */
export function readCertificateFile(path: string): Parsed<string> {
  const content = readContent(path);
  if (!content.ok) return refused(`${content.reason}, expected ${CERTIFICATE_FILE}`);
  const text = content.value.toString('latin1');
  if (text.includes('-----BEGIN CERTIFICATE-----')) return accepted(text);
  return refused(`there is no certificate in it, expected ${CERTIFICATE_FILE}`);
}
