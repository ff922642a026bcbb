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

/** `keep`, `-ali` and `live`. */
const KEEP = 0x6b656570;
const ALI = 0x2d616c69;
const LIVE = 0x6c697665;
const KEEP_ALIVE_BYTES = 'keep-alive'.length;
const CASE_BITS = CASE_BIT * 0x01010101;

/**
 * Adds the options of one Connection line. Empty elements are passed over (RFC 9110 §5.6.1.2).
 *
 * @param view of the same bytes
 * @param start bytes[start, end) have no control characters
 * @returns 0, or a negative rejection: no list of tokens, or more options than anybody sends
 */
export function readConnection(
  view: DataView,
  bytes: Buffer,
  start: number,
  end: number,
  options: ConnectionOptions,
): number {
  if (end - start === KEEP_ALIVE_BYTES && isKeepAlive(view, start)) {
    // Almost always.
    options.keepAlive = true;
    return 0;
  }
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

/** Among bytes that are no control characters CASE_BIT makes nothing else like letters and hyphens. */
function isKeepAlive(view: DataView, at: number): boolean {
  return (
    (view.getInt32(at) | CASE_BITS) === KEEP &&
    (view.getInt32(at + 4) | CASE_BITS) === ALI &&
    (view.getInt32(at + 6) | CASE_BITS) === LIVE
  );
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
