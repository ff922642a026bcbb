import { CASE_BIT } from './characters.js';

/**
 * Names of fields that the parser tells apart, as numbers; 0 is any other name. Those that say how a
 * message is framed and passed on come first: see {@link LAST_FRAMING_NAME}.
 */
export const HeaderName = {
  other: 0,
  host: 1,
  connection: 2,
  content_length: 3,
  transfer_encoding: 4,
  upgrade: 5,
  expect: 6,

  keep_alive: 7,
  proxy_connection: 8,
  te: 9,
  trailer: 10,
  proxy_authenticate: 11,
  proxy_authorization: 12,
  via: 13,
  // Whom a message comes from, up to x_real_ip: MessageHead.isHopByHop counts on them being in a row.
  forwarded: 14,
  x_forwarded_for: 15,
  x_forwarded_proto: 16,
  x_forwarded_host: 17,
  x_forwarded_port: 18,
  x_real_ip: 19,
  x_request_id: 20,
  traceparent: 21,
  tracestate: 22,
  accept: 23,
  accept_encoding: 24,
  accept_language: 25,
  accept_ranges: 26,
  access_control_allow_origin: 27,
  age: 28,
  authorization: 29,
  cache_control: 30,
  content_encoding: 31,
  content_range: 32,
  content_type: 33,
  cookie: 34,
  date: 35,
  etag: 36,
  if_match: 37,
  if_modified_since: 38,
  if_none_match: 39,
  last_modified: 40,
  location: 41,
  max_forwards: 42,
  origin: 43,
  pragma: 44,
  range: 45,
  referer: 46,
  retry_after: 47,
  sec_websocket_accept: 48,
  sec_websocket_extensions: 49,
  sec_websocket_key: 50,
  sec_websocket_protocol: 51,
  sec_websocket_version: 52,
  server: 53,
  set_cookie: 54,
  strict_transport_security: 55,
  user_agent: 56,
  vary: 57,
  www_authenticate: 58,
  http2_settings: 59,
  if_range: 60,
  if_unmodified_since: 61,
} as const;
export type HeaderName = (typeof HeaderName)[keyof typeof HeaderName];

/** Names up to this one change how a message is read; the parser looks at their values at once. */
export const LAST_FRAMING_NAME = HeaderName.expect;

/** As they are written in lower case, by number; 0 has none. */
export const headerNames: readonly string[] = Object.keys(HeaderName).map((key) =>
  key === 'other' ? '' : key.replaceAll('_', '-'),
);

/** Bytes of each name, by number, and of the longest. */
export const headerNameBytes = Uint8Array.from(headerNames, (name) => name.length);
export const HEADER_NAME_BYTES_MAX = Math.max(...headerNameBytes);

const SLOTS = 1024;
const SLOT_MASK = SLOTS - 1;

/** All names one after the other, in lower case, and where each begins. */
const letters = viewOf(Buffer.from(headerNames.join(''), 'latin1'));
/** For each of their bytes, the bits that do not count: {@link CASE_BIT} in a letter, and none in others. */
const caseBits = viewOf(
  Buffer.from(Array.from(headerNames.join(''), (byte) => (/[a-z]/.test(byte) ? CASE_BIT : 0))),
);
const starts = new Uint16Array(headerNames.length + 1);
for (const [id, name] of headerNames.entries()) starts[id + 1] = starts[id]! + name.length;

/** Multipliers for length, first and last letter but one, for which no two names share a slot. */
const [byLength, byFirst, byLate] = perfectMultipliers();
const slots = new Uint8Array(SLOTS);
for (const [id, name] of headerNames.entries()) {
  if (id > 0) slots[slotOf(name.length, name.charCodeAt(0), name.charCodeAt(name.length - 2))] = id;
}

/**
 * The number of the name in the bytes [start, end), in any case; {@link HeaderName.other} when they are none of
 * these, or no name at all.
 *
 * Length, first letter and last but one leave one candidate, which is then compared, four bytes at a time.
 */
export function headerNameOf(view: DataView, start: number, end: number): number {
  const length = end - start;
  if (length < 2) return HeaderName.other;
  const first = view.getUint8(start) | CASE_BIT;
  const late = view.getUint8(end - 2) | CASE_BIT;
  const id = slots[slotOf(length, first, late)]!;
  const offset = starts[id]!;
  if (starts[id + 1]! - offset !== length) return HeaderName.other;
  let index = 0;
  for (; index + 4 <= length; index += 4) {
    const word = view.getInt32(start + index) | caseBits.getInt32(offset + index);
    if (word !== letters.getInt32(offset + index)) return HeaderName.other;
  }
  for (; index < length; index++) {
    const byte = view.getUint8(start + index) | caseBits.getUint8(offset + index);
    if (byte !== letters.getUint8(offset + index)) return HeaderName.other;
  }
  return id;
}

/**
 * All names with their colons, each from a word of four bytes on, and where each begins; 0 has none. A byte behind a
 * colon is 0xff, also among the bits that do not count: it is like any other.
 */
const lines = headerNames.map((name) => (name === '' ? '' : `${name}:`));
const lineStarts = new Uint16Array(lines.length + 1);
for (const [id, line] of lines.entries()) {
  lineStarts[id + 1] = lineStarts[id]! + Math.ceil(line.length / 4);
}
const lineWords = wordsOf((byte) => byte.charCodeAt(0));
const lineCaseBits = wordsOf((byte) => (/[a-z]/.test(byte) ? CASE_BIT : 0));

/**
 * Whether the bytes from `at` on are the name of this number, in any case, and a colon. False also when `end` is so near
 * that the words of the name reach beyond it.
 *
 * @param id not {@link HeaderName.other}
 */
export function isHeaderNameAt(view: DataView, at: number, end: number, id: number): boolean {
  const first = lineStarts[id]!;
  const last = lineStarts[id + 1]!;
  if (at + (last - first) * 4 > end) return false;
  for (let word = first, from = at; word < last; word++, from += 4) {
    if ((view.getInt32(from, true) | lineCaseBits[word]!) !== lineWords[word]!) return false;
  }
  return true;
}

function wordsOf(numberOf: (byte: string) => number): Int32Array {
  const words = new Int32Array(lineStarts[lines.length]!);
  const bytes = Buffer.alloc(words.byteLength, 0xff);
  for (const [id, line] of lines.entries()) {
    for (const [index, byte] of [...line].entries()) {
      bytes[lineStarts[id]! * 4 + index] = numberOf(byte);
    }
  }
  for (const index of words.keys()) words[index] = bytes.readInt32LE(index * 4);
  return words;
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function slotOf(length: number, first: number, late: number): number {
  return (length * byLength + first * byFirst + late * byLate) & SLOT_MASK;
}

/** Tries small odd numbers, once, when the module is loaded. */
function perfectMultipliers(): [number, number, number] {
  const keys = headerNames
    .slice(1)
    .map((name) => [name.length, name.charCodeAt(0), name.charCodeAt(name.length - 2)] as const);
  for (let a = 1; a < 128; a += 2) {
    for (let b = 1; b < 128; b += 2) {
      for (let c = 1; c < 128; c += 2) {
        const used = new Set(keys.map(([x, y, z]) => (x * a + y * b + z * c) & SLOT_MASK));
        if (used.size === keys.length) return [a, b, c];
      }
    }
  }
  throw new Error('two header names have the same length, first letter and last but one');
}
