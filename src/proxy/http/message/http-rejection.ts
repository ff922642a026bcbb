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
  /** White space before the method, or nothing behind it (RFC 9112 §3). */
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
  /** The connection preface of HTTP/2 (RFC 9113 §3.4). */
  http_2_preface: 12,
  /** What stands where the version should is none (RFC 9112 §2.3). */
  version_malformed: 13,
  /** A version other than 1.0 and 1.1. */
  version_unsupported: 14,
  /** The status line breaks the grammar (RFC 9112 §4). */
  status_line_malformed: 15,

  /** LF without CR before it. RFC 9112 §2.2 allows to take it for a line's end; not everybody does. */
  bare_lf: 16,
  /** CR without LF behind it (RFC 9112 §2.2). */
  bare_cr: 17,
  /** A control character, NUL included, in a field's value or a reason phrase (RFC 9110 §5.5). */
  control_character: 18,
  /** A line that begins with white space: folded, or smuggled behind the first line (RFC 9112 §5.2, §2.2). */
  obs_fold: 19,
  /** White space between a field's name and the colon (RFC 9112 §5.1). */
  space_before_colon: 20,
  /** A field's name is empty or no token. */
  field_name_malformed: 21,
  /** The head is longer than `limits.head_bytes`. */
  head_too_large: 22,
  /** More fields than `limits.headers`. */
  headers_too_many: 23,

  /** Not one decimal number: a sign, a list, a leading zero, nothing (RFC 9110 §8.6). */
  content_length_malformed: 24,
  /** Content-Length twice, also when both say the same. */
  content_length_repeated: 25,
  /** More than 2^53 − 1 bytes. */
  content_length_too_large: 26,
  /** Both Content-Length and Transfer-Encoding (RFC 9112 §6.1). */
  framing_ambiguous: 27,
  /** Transfer-Encoding is no list of tokens. */
  transfer_encoding_malformed: 28,
  /** A transfer coding other than chunked (RFC 9112 §6.1: 501). */
  transfer_coding_unknown: 29,
  /** chunked is not the last coding, or there twice. */
  transfer_coding_not_final: 30,
  /** Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1). */
  transfer_encoding_http_1_0: 31,
  /** An informational response that announces a body (RFC 9112 §6.1, RFC 9110 §8.6). */
  informational_framing: 32,
  /** CONNECT with a body, which some take for the first bytes of the tunnel (RFC 9110 §9.3.6). */
  connect_body: 33,

  /** HTTP/1.1 without Host (RFC 9112 §3.2). */
  host_missing: 34,
  host_repeated: 35,
  /** Host is empty, or not a host with or without a port. */
  host_malformed: 36,
  /** Host is not what the target's authority says. */
  host_mismatch: 37,
  /** Connection is no list of tokens, or a very long one. */
  connection_malformed: 38,
  /** Expect asks for something else than 100-continue (RFC 9110 §10.1.1). */
  expectation_unknown: 39,

  /** A chunk's size is no hexadecimal number of at most 16 digits. */
  chunk_size_malformed: 40,
  /** A chunk of more than 2^53 − 1 bytes. */
  chunk_size_too_large: 41,
  /** Chunk extensions break the grammar (RFC 9112 §7.1.1). */
  chunk_extension_malformed: 42,
  chunk_extension_too_large: 43,
  /** Something else than CRLF behind a chunk's data. */
  chunk_unterminated: 44,
  /** A trailer field breaks the grammar of fields. */
  trailer_malformed: 45,
  trailer_too_large: 46,
  /** A field that must not come this late: framing, routing, authentication (RFC 9110 §6.5.1). */
  trailer_forbidden: 47,
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
  http_2_preface: 505,
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
