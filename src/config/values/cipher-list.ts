import { createSecureContext, getCiphers } from 'node:tls';
import { accepted, type Parsed, refused } from './parsed.js';
import { closestWord } from './suggestion.js';

export type CipherListKind = 'ciphers' | 'ciphersuites' | 'curves';

/** What may stand in a list that OpenSSL reads, and what a message calls it. */
export const cipherLists: Readonly<Record<CipherListKind, CipherList>> = {
  ciphers: {
    expected: 'ciphers of TLS 1.2 as OpenSSL names them (ECDHE-RSA-AES128-GCM-SHA256:HIGH:!aNULL)',
    separator: /[:, ]+/,
    isKnown: isCipher,
    known: () => suitesOfNode().filter((name) => !name.startsWith('TLS_')),
  },
  ciphersuites: {
    expected: 'cipher suites of TLS 1.3 (TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256)',
    separator: /:/,
    isKnown: (name: string) => cipherLists.ciphersuites.known().includes(name),
    known: () => suitesOfNode().filter((name) => name.startsWith('TLS_')),
  },
  curves: {
    expected: 'curves as OpenSSL names them (X25519:prime256v1)',
    separator: /:/,
    isKnown: isCurve,
    known: () => ['X25519', 'X448', 'prime256v1', 'secp384r1', 'secp521r1', 'X25519MLKEM768'],
  },
};

interface CipherList {
  readonly expected: string;
  readonly separator: RegExp;
  isKnown(name: string): boolean;
  /** For suggestions. */
  known(): string[];
}

/**
 * Reads a list of ciphers, cipher suites or curves. OpenSSL, the one inside Node that will also speak
 * TLS, is asked for each: it passes over what it does not know as long as it knows one of the list.
 */
export function parseCipherList(text: string, kind: CipherListKind): Parsed<string> {
  const { expected, separator, isKnown, known } = cipherLists[kind];
  for (const word of text.split(separator)) {
    if (isKnown(word)) continue;
    const meant = closestWord(word, known());
    const suggestion = meant === null ? '' : `; did you mean "${meant}"?`;
    return refused(
      word === ''
        ? `an empty name, expected ${expected}`
        : `${JSON.stringify(word)} is unknown to this OpenSSL, expected ${expected}${suggestion}`,
    );
  }
  // Each may be known and all of them nothing: a cipher that is taken away again, a curve that is there twice.
  const isWhole = kind === 'curves' ? isCurve(text) : isTaken({ ciphers: text });
  return isWhole ? accepted(text) : refused(`nothing OpenSSL could use, expected ${expected}`);
}

/** Whether the OpenSSL inside this Node has the curve: those with ML-KEM came with 3.5. */
export function isCurve(name: string): boolean {
  // Not for OpenSSL: Node's own words for whatever OpenSSL likes.
  return name !== 'auto' && name !== '' && isTaken({ ecdhCurve: name });
}

/** A cipher of TLS 1.2, a group of them (`HIGH`, `ECDHE+AESGCM`), or an order (`!aNULL`, `@STRENGTH`). */
function isCipher(word: string): boolean {
  if (/^TLS_/i.test(word) || word === '') return false;
  // What is taken away may be nothing.
  return /^[!+@-]./.test(word) || isTaken({ ciphers: word });
}

function isTaken(options: { ciphers?: string; ecdhCurve?: string }): boolean {
  try {
    createSecureContext(options);
    return true;
  } catch {
    return false;
  }
}

function suitesOfNode(): string[] {
  return getCiphers().map((name) => name.toUpperCase());
}
