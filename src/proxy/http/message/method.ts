import { HttpRejection } from './http-rejection.js';

/** Methods of RFC 9110 §9 and RFC 5789, as numbers; 0 is any other token. */
export const Method = {
  other: 0,
  GET: 1,
  HEAD: 2,
  POST: 3,
  PUT: 4,
  DELETE: 5,
  CONNECT: 6,
  OPTIONS: 7,
  TRACE: 8,
  PATCH: 9,
} as const;
export type Method = (typeof Method)[keyof typeof Method];

/** Names by number; that of {@link Method.other} is empty. */
export const methodNames: readonly string[] = Object.keys(Method).map((name) =>
  name === 'other' ? '' : name,
);

/** The longest in the registry of methods is UPDATEREDIRECTREF. */
export const METHOD_BYTES_MAX = 32;

const CASE_MASK = 0xdf;

/**
 * The number of the method in bytes[start, end), a token. Methods are case-sensitive (RFC 9110 §9.1), but
 * not to everybody: what differs from a known one only in case would be framed by us in one
 * way and by such an upstream in another, so it is rejected.
 *
 * @returns a {@link Method}, or a negative rejection
 */
export function methodOf(bytes: Buffer, start: number, end: number): number {
  const length = end - start;
  if (length > METHOD_BYTES_MAX) return -HttpRejection.method_too_long;
  const first = bytes[start]! & CASE_MASK;
  const id = candidateFor(length, first);
  if (id === Method.other) return id;
  const name = methodNames[id]!;
  let isSame = true;
  for (let index = 0; index < length; index++) {
    const byte = bytes[start + index]!;
    const letter = name.charCodeAt(index);
    if ((byte & CASE_MASK) !== letter) return Method.other;
    if (byte !== letter) isSame = false;
  }
  return isSame ? id : -HttpRejection.method_case;
}

/** Length and first letter leave one. */
function candidateFor(length: number, first: number): number {
  switch (length) {
    case 3:
      return first === 0x47 ? Method.GET : Method.PUT;
    case 4:
      return first === 0x50 ? Method.POST : Method.HEAD;
    case 5:
      return first === 0x50 ? Method.PATCH : Method.TRACE;
    case 6:
      return Method.DELETE;
    case 7:
      return first === 0x43 ? Method.CONNECT : Method.OPTIONS;
    default:
      return Method.other;
  }
}
