/** Bytes that have a meaning in HTTP/1.1. */
export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const QUOTE = 0x22;
export const HASH = 0x23;
export const PERCENT = 0x25;
export const ASTERISK = 0x2a;
export const COMMA = 0x2c;
export const HYPHEN = 0x2d;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const DIGIT_0 = 0x30;
export const DIGIT_9 = 0x39;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const QUESTION = 0x3f;
export const BRACKET_OPEN = 0x5b;
export const BACKSLASH = 0x5c;
export const BRACKET_CLOSE = 0x5d;
export const UNDERSCORE = 0x5f;
export const DEL = 0x7f;
/** Set in a letter, it is a small one. */
export const CASE_BIT = 0x20;

const ALPHANUMERIC = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

function tableOf(isMember: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (isMember(byte) ? 1 : 0));
}

function among(characters: string): (byte: number) => boolean {
  return (byte) => characters.includes(String.fromCharCode(byte));
}

const isVisible = (byte: number) => byte > SP && byte < DEL;

/** `tchar` (RFC 9110 §5.6.2). */
export const isToken = tableOf(among(`!#$%&'*+-.^_\`|~${ALPHANUMERIC}`));

/** `field-content` (RFC 9110 §5.5) with HTAB, SP and obs-text; also `reason-phrase` (RFC 9112 §4). */
export const isFieldValue = tableOf(
  (byte) => byte === HTAB || byte === SP || isVisible(byte) || byte > DEL,
);

/**
 * What may stand in a path: more than RFC 3986 §3.3 allows, because browsers send `|`, `[` and
 * others as they are (URL Standard, path percent-encode set). `?` and `%` are looked at one by one; `#`
 * begins a fragment, which no request has.
 */
export const isPath = tableOf((byte) => isVisible(byte) && !among('#?%')(byte));

/** The same for a query, where also `?` and `%` mean nothing to us. */
export const isQuery = tableOf((byte) => isVisible(byte) && byte !== HASH);

/**
 * `reg-name` (RFC 3986 §3.2.2) without percent-encoding and sub-delims: names that DNS or a hosts file
 * can have, where the rest is only good for confusion in logs and in headers made from it.
 */
export const isRegisteredName = tableOf(among(`-._~${ALPHANUMERIC}`));

/** What may stand between the brackets of an IPv6 address. */
export const isIPv6 = tableOf(among('0123456789abcdefABCDEF:.'));

/** `HEXDIG` and its value; 0xff for other bytes. */
export const hexValue = Uint8Array.from({ length: 256 }, (_, byte) => {
  const at = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return at < 0 || byte > DEL ? 0xff : at;
});

/** OWS (RFC 9110 §5.6.3). */
export function isWhiteSpace(byte: number): boolean {
  return byte === SP || byte === HTAB;
}
