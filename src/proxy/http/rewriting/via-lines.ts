import type { HttpSnapshot } from '../http-snapshot.js';

/**
 * The line that says who has passed a message on (RFC 9110 §7.6.3), for one that came as HTTP/1.0 and as HTTP/1.1.
 *
 * @param name what this proxy calls itself; null for nobody, which makes no line
 */
export function viaLines(name: HttpSnapshot['via']): readonly [Buffer, Buffer] {
  const line = (version: string) =>
    Buffer.from(name === null ? '' : `Via: ${version} ${name}\r\n`, 'latin1');
  return [line('1.0'), line('1.1')];
}
