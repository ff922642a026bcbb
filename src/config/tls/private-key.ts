import { createPrivateKey, type KeyObject } from 'node:crypto';
import { accepted, type Files, type Parsed, refused } from '../values/index.js';
import { reasonOf } from './certificate-chain.js';

const BLOCK = /-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----[\s\S]+?-----END \1-----/;
const EXPECTED = 'expected a private key (PEM)';

/** Where a private key is, and the file with its passphrase. */
export interface KeyPlace {
  readonly path: string;
  readonly passphraseFile: string | undefined;
}

/** A private key, or which of the two files is wrong. */
export type ReadKey =
  | { readonly ok: true; readonly value: KeyObject }
  | { readonly ok: false; readonly at: 'key' | 'passphrase_file'; readonly reason: string };

/** Reads the first private key of a file, and decrypts it. */
export function readPrivateKey({ path, passphraseFile }: KeyPlace, files: Files): ReadKey {
  const block = readBlock(path, files);
  if (!block.ok) return { ...block, at: 'key' };
  const isEncrypted = /ENCRYPTED/.test(block.value);
  const passphrase = readPassphrase(passphraseFile, files);
  if (!passphrase.ok) return { ...passphrase, at: 'passphrase_file' };
  if (isEncrypted && passphrase.value === undefined) {
    const reason = 'it is encrypted, expected a "passphrase_file" beside it';
    return { ok: false, at: 'key', reason };
  }
  try {
    const format = 'pem';
    const value = isEncrypted
      ? createPrivateKey({ key: block.value, format, passphrase: passphrase.value! })
      : createPrivateKey({ key: block.value, format });
    return { ok: true, value };
  } catch (error) {
    if (isEncrypted) {
      const reason = `it does not decrypt ${path} (${reasonOf(error)}), expected its passphrase`;
      return { ok: false, at: 'passphrase_file', reason };
    }
    return { ok: false, at: 'key', reason: `it cannot be read: ${reasonOf(error)}, ${EXPECTED}` };
  }
}

function readBlock(path: string, files: Files): Parsed<string> {
  const content = files.read(path);
  if (!content.ok) return refused(`${content.reason}, ${EXPECTED}`);
  const [block] = BLOCK.exec(content.value.toString('latin1')) ?? [];
  return block === undefined
    ? refused(`there is no private key in it, ${EXPECTED}`)
    : accepted(block);
}

function readPassphrase(path: string | undefined, files: Files): Parsed<string | undefined> {
  if (path === undefined) return accepted(undefined);
  const expected = 'expected a passphrase on its first line';
  const content = files.read(path);
  if (!content.ok) return refused(`${content.reason}, ${expected}`);
  const [line = ''] = content.value.toString('utf8').split(/\r?\n/);
  return line === '' ? refused(`its first line is empty, ${expected}`) : accepted(line);
}
