import { CASE_BIT, COMMA, isToken, isWhiteSpace } from './characters.js';
import { HttpRejection } from './http-rejection.js';

/** What Connection says (RFC 9110 §7.6.1). */
export interface ConnectionOptions {
  close: boolean;
  keepAlive: boolean;
  upgrade: boolean;
  /** Where the other options begin and end: names of fields that are for this connection only. */
  readonly named: Int32Array;
  namedCount: number;
}

/**
 * Adds the options of one Connection line. Empty elements are passed over (RFC 9110 §5.6.1.2).
 *
 * @returns 0, or a negative rejection: no list of tokens, or more options than anybody sends
 */
export function readConnection(
  bytes: Buffer,
  start: number,
  end: number,
  options: ConnectionOptions,
): number {
  for (let at = start; at < end; at++) {
    while (at < end && isWhiteSpace(bytes[at]!)) at++;
    const optionAt = at;
    while (at < end && isToken[bytes[at]!] === 1) at++;
    if (at > optionAt && !addOption(bytes, optionAt, at, options)) {
      return -HttpRejection.connection_malformed;
    }
    while (at < end && isWhiteSpace(bytes[at]!)) at++;
    if (at < end && bytes[at] !== COMMA) return -HttpRejection.connection_malformed;
  }
  return 0;
}

/** @returns whether there was room for it */
function addOption(bytes: Buffer, start: number, end: number, options: ConnectionOptions): boolean {
  if (isOption(bytes, start, end, 'close')) options.close = true;
  else if (isOption(bytes, start, end, 'keep-alive')) options.keepAlive = true;
  else if (isOption(bytes, start, end, 'upgrade')) options.upgrade = true;
  else {
    const { named, namedCount } = options;
    if (namedCount * 2 === named.length) return false;
    named[namedCount * 2] = start;
    named[namedCount * 2 + 1] = end;
    options.namedCount++;
  }
  return true;
}

/** @param name letters and hyphens, in lower case: among tokens CASE_BIT makes nothing else like them */
function isOption(bytes: Buffer, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false;
  for (let index = 0; index < name.length; index++) {
    if ((bytes[start + index]! | CASE_BIT) !== name.charCodeAt(index)) return false;
  }
  return true;
}
