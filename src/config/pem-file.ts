import { readFileSync } from 'node:fs';
import { accepted, type Parsed, refused } from './parsed.js';

/** What a message calls these values. */
export const CERTIFICATE_FILE = 'a file of certificates (PEM)';

/** Reads a file of certificates; a relative path begins at the working directory. */
export function readCertificateFile(path: string): Parsed<string> {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason =
      code === 'ENOENT' ? 'there is no such file' : `it can't be read: ${code ?? message}`;
    return refused(`${reason}, expected ${CERTIFICATE_FILE}`);
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return accepted(text);
  return refused(`there is no certificate in it, expected ${CERTIFICATE_FILE}`);
}
