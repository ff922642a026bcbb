import { accepted, type Parsed, refused } from './parsed.js';

/** What a message calls these values. */
export const FIELD = 'the name of a header field';
export const FIELD_PATTERN = 'the name of a header field, or the beginning of names and a "*"';

/** RFC 9110 §5.6.2; a final star is read as a wildcard. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Fields that belong to one hop or say where a message ends (RFC 9110 §7.6.1, RFC 9112 §6): headgate
 * writes them itself, and a change would tear messages apart.
 */
export const hopFields: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Reads the name of a field that may be removed: lower case, perhaps with a star at the end. */
export function parseRemovableField(text: string): Parsed<string> {
  const name = text.toLowerCase();
  if (!TOKEN.test(text)) return refused(`expected ${FIELD_PATTERN}`);
  if (name === '*') return refused(`every field, expected ${FIELD_PATTERN}`);
  const reason = reserved(name);
  return reason === null ? accepted(name) : refused(`${reason}, expected another field`);
}

/** Why a field cannot be set or taken away, or null. @param name lower case */
export function reserved(name: string): string | null {
  if (hopFields.has(name)) return 'it belongs to each connection by itself';
  if (name === 'host') return 'it is what "host" says';
  return null;
}
