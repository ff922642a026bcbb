import { HeaderName, type RequestHead } from '../message/index.js';

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;

/**
 * The value of the first cookie of this name (RFC 6265 §4.2.1), a character a byte, without the quotes
 * it may be in. Names are compared as they are.
 *
 * @param name a token
 */
export function findCookie(head: RequestHead, name: string): string | undefined {
  const { bytes } = head;
  for (
    let index = head.find(HeaderName.cookie);
    index >= 0;
    index = head.find(HeaderName.cookie, index + 1)
  ) {
    const end = head.valueEnd(index);
    for (let at = head.valueStart(index); at < end; ) {
      while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
      const pairAt = at;
      while (at < end && bytes[at] !== SEMICOLON) at++;
      if (isNamed(bytes, pairAt, at, name)) {
        return unquoted(bytes, pairAt + name.length + 1, at);
      }
      at++;
    }
  }
  return undefined;
}

function isNamed(bytes: Buffer, start: number, end: number, name: string): boolean {
  if (end - start <= name.length || bytes[start + name.length] !== EQUALS) return false;
  for (let index = 0; index < name.length; index++) {
    if (bytes[start + index] !== name.charCodeAt(index)) return false;
  }
  return true;
}

function unquoted(bytes: Buffer, start: number, end: number): string {
  let [from, to] = [start, end];
  while (to > from && (bytes[to - 1] === SPACE || bytes[to - 1] === TAB)) to--;
  if (to - from >= 2 && bytes[from] === QUOTE && bytes[to - 1] === QUOTE) {
    from++;
    to--;
  }
  return bytes.toString('latin1', from, to);
}
