/**
 * What a parser answers, as one number:
 *
 * - above 0: so many bytes were consumed;
 * - {@link PARTIAL}: right so far, and not whole;
 * - below 0: `-HttpRejection.…`, for good: no further byte changes it.
 */
export const PARTIAL = 0;

/** Why bytes are not taken for HTTP/1.1. Counted by these names. */
export const HttpRejection = {
  /** The first byte begins no method: TLS, or something else that is not HTTP. */
  not_http: 1,
  /** Nothing after the method, or not exactly one space between two parts (RFC 9112 §3). */
  request_line_malformed: 2,
  /** The method is no token (RFC 9110 §9.1). */
  method_malformed: 3,
  /** A known method in other letters: `head` is no HEAD to us, and may be one to an upstream. */
  method_case: 4,
  /** The method is longer than any that is registered. */
  method_too_long: 5,
  /** A byte that no request target has: a control, a space, `#`, one above 0x7e; or a bad `%` in the path. */
  target_malformed: 6,
  /** A form of target that does not go with the method (RFC 9112 §3.2). */
  target_form: 7,
  /** The absolute form with another scheme than http and https. */
  target_scheme: 8,
  /** The authority of the target is no host with a port (RFC 9110 §4.2, §9.3.6), or has userinfo (§4.2.4). */
  target_authority: 9,
  /** The request line alone is longer than a head may be. */
  target_too_long: 10,
  /** No version: a request of HTTP/0.9. */
  version_missing: 11,
  /** What stands where the version should is none (RFC 9112 §2.3). */
  version_malformed: 12,
  /** A version other than 1.0 and 1.1. */
  version_unsupported: 13,
  /** The status line breaks the grammar (RFC 9112 §4). */
  status_line_malformed: 14,

  /** LF without CR before it. RFC 9112 §2.2 allows to take it for a line's end; not everybody does. */
  bare_lf: 15,
  /** CR without LF behind it (RFC 9112 §2.2). */
  bare_cr: 16,
  /** A control character, NUL included, in a field's value or a reason phrase (RFC 9110 §5.5). */
  control_character: 17,
  /** A line that begins with white space: folded, or smuggled behind the first line (RFC 9112 §5.2, §2.2). */
  obs_fold: 18,
  /** White space between a field's name and the colon (RFC 9112 §5.1). */
  space_before_colon: 19,
  /** A field's name is empty or no token. */
  field_name_malformed: 20,
  /** The head is longer than `limits.head_bytes`. */
  head_too_large: 21,
  /** More fields than `limits.headers`. */
  headers_too_many: 22,

  /** Not one decimal number: a sign, a list, a leading zero, nothing (RFC 9110 §8.6). */
  content_length_malformed: 23,
  /** Content-Length twice, also when both say the same. */
  content_length_repeated: 24,
  /** More than 2^53 − 1 bytes. */
  content_length_too_large: 25,
  /** Both Content-Length and Transfer-Encoding (RFC 9112 §6.1). */
  framing_ambiguous: 26,
  /** Transfer-Encoding is no list of tokens. */
  transfer_encoding_malformed: 27,
  /** A transfer coding other than chunked (RFC 9112 §6.1: 501). */
  transfer_coding_unknown: 28,
  /** chunked is not the last coding, or there twice. */
  transfer_coding_not_final: 29,
  /** Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1). */
  transfer_encoding_http_1_0: 30,
  /** Transfer-Encoding or a length in an informational response (RFC 9112 §6.1, RFC 9110 §8.6). */
  informational_framing: 31,
  /** CONNECT with a body, which some take for the first bytes of the tunnel (RFC 9110 §9.3.6). */
  connect_body: 32,

  /** HTTP/1.1 without Host (RFC 9112 §3.2). */
  host_missing: 33,
  host_repeated: 34,
  /** Host is empty, or not a host with or without a port. */
  host_malformed: 35,
  /** Host is not what the target's authority says. */
  host_mismatch: 36,
  /** Connection is no list of tokens, or a very long one. */
  connection_malformed: 37,
  /** Expect asks for something else than 100-continue (RFC 9110 §10.1.1). */
  expectation_unknown: 38,

  /** A chunk's size is no hexadecimal number of at most 16 digits. */
  chunk_size_malformed: 39,
  /** A chunk of more than 2^53 − 1 bytes. */
  chunk_size_too_large: 40,
  /** Chunk extensions break the grammar (RFC 9112 §7.1.1). */
  chunk_extension_malformed: 41,
  chunk_extension_too_large: 42,
  /** Something else than CRLF behind a chunk's data. */
  chunk_unterminated: 43,
  /** A trailer field breaks the grammar of fields. */
  trailer_malformed: 44,
  trailer_too_large: 45,
  /** A field that must not come this late: framing, routing, authentication (RFC 9110 §6.5.1). */
  trailer_forbidden: 46,
} as const;
export type HttpRejection = (typeof HttpRejection)[keyof typeof HttpRejection];
export type HttpRejectionName = keyof typeof HttpRejection;

/** Names in the order of their codes, which begin at 1: `httpRejectionNames[code - 1]`. */
export const httpRejectionNames = Object.keys(HttpRejection) as readonly HttpRejectionName[];

/** Statuses of RFC 9110 §15; what is not here is a 400 (Bad Request). */
const statuses: Readonly<Partial<Record<HttpRejectionName, number>>> = {
  method_case: 501,
  method_too_long: 501,
  target_too_long: 414,
  version_unsupported: 505,
  // RFC 6585 §5.
  head_too_large: 431,
  headers_too_many: 431,
  trailer_too_large: 431,
  content_length_too_large: 413,
  chunk_size_too_large: 413,
  transfer_coding_unknown: 501,
  expectation_unknown: 417,
};

export function httpRejectionName(rejection: HttpRejection): HttpRejectionName {
  return httpRejectionNames[rejection - 1]!;
}

/** The status that tells a client; when an upstream's bytes were rejected, the answer is 502 instead. */
export function statusFor(rejection: HttpRejection): number {
  return statuses[httpRejectionName(rejection)] ?? 400;
}
