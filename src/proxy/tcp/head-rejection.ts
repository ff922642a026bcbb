import { Alert } from './tls-alert.js';

/**
 * What a parser of the head answers, as one number:
 *
 * - above 0: so many bytes are the head; what follows belongs to the stream;
 * - {@link PARTIAL}: right so far, and not whole;
 * - below 0: `-Rejection.…`, for good: no further byte changes it.
 */
export const PARTIAL = 0;

/** Why a stream is refused before it has an upstream. Counted by these names. */
export const Rejection = {
  /** The stream does not begin with a PROXY header of either version. */
  proxy_missing: 1,
  /** v1: the line breaks the grammar, or is not ended within 107 bytes. */
  proxy_line_malformed: 2,
  /** An address or port is not one of the family, or not written as it must be. */
  proxy_address_malformed: 3,
  /** v2: another version, or a command, family or transport that is not assigned. */
  proxy_unassigned: 4,
  /** v2: the length leaves no room for the addresses. */
  proxy_length_mismatch: 5,
  /** v2: the header is longer than this listener allows. */
  proxy_too_large: 6,
  /** v2: the TLVs do not add up, or one has a length its type cannot have. */
  proxy_tlv_malformed: 7,
  /** v2: the CRC32C is not that of the header. */
  proxy_checksum: 8,

  /** Neither TLS nor anything we know. */
  not_tls: 9,
  /** An HTTP request without TLS. */
  plain_http: 10,
  /** The hello of SSL 2.0, which also old clients of later versions sent (RFC 6176). */
  sslv2_hello: 11,
  /** SSL 3.0 or older (RFC 8446 §D.5, RFC 7568). */
  version_unsupported: 12,
  /** A TLS record that is not a handshake record, first or between two fragments of the hello. */
  not_handshake: 13,
  /** A handshake message that is not a ClientHello. */
  not_client_hello: 14,
  /** A handshake record without a byte (RFC 8446 §5.4). */
  record_empty: 15,
  /** A record of more than 2^14 bytes (RFC 8446 §5.1). */
  record_too_large: 16,
  /** A ClientHello of more than 16 KiB, or one in more record bytes than we look at. */
  client_hello_too_large: 17,
  /** Lengths inside the ClientHello disagree or are out of range. */
  client_hello_malformed: 18,
  /** Handshake bytes behind the ClientHello in its last record (RFC 8446 §5.1). */
  client_hello_followed: 19,
  /** The same extension twice (RFC 8446 §4.2). */
  extension_duplicate: 20,
  /** server_name does not have the shape of RFC 6066 §3. */
  server_name_malformed: 21,
  /** Two names of one type (RFC 6066 §3). */
  server_name_duplicate: 22,
  /** The name is no host name. */
  server_name_invalid: 23,
  /** The name is an address literal, which RFC 6066 §3 excludes. */
  server_name_address: 24,
  /** ALPN does not have the shape of RFC 7301 §3.1. */
  alpn_malformed: 25,
  /** supported_versions does not have the shape of RFC 8446 §4.2.1. */
  versions_malformed: 26,

  /** No server_name, and no route for streams without one. */
  server_name_missing: 27,
  /** No route for this server_name. */
  server_name_unknown: 28,
  /** A route for the name, but for none of the application protocols offered. */
  alpn_unknown: 29,

  /** The client closed where a head would have begun: a scanner, or a health check. */
  head_empty: 30,
  /** The client closed in the middle of the head. */
  head_truncated: 31,
  /** The client reset the connection before the head was whole. */
  head_reset: 32,
  /** Reading failed; the reader has the error number. */
  head_failed: 33,
  /** An urgent byte inside the head: recv(2) stops in front of it, so the rest cannot be seen. */
  head_urgent: 34,
  /** The head was not whole in time (`timeouts.head`). */
  head_timeout: 35,
} as const;
export type Rejection = (typeof Rejection)[keyof typeof Rejection];
export type RejectionName = keyof typeof Rejection;

/** Names in the order of their codes, which begin at 1: `rejectionNames[code - 1]`. */
export const rejectionNames = Object.keys(Rejection) as readonly RejectionName[];

/**
 * What tells the client. Rejections without an alert are those where nobody speaks TLS, or nobody is
 * left to be told.
 */
const alerts: Readonly<Partial<Record<RejectionName, Alert>>> = {
  sslv2_hello: Alert.protocol_version,
  version_unsupported: Alert.protocol_version,
  not_handshake: Alert.unexpected_message,
  not_client_hello: Alert.unexpected_message,
  record_empty: Alert.unexpected_message,
  record_too_large: Alert.record_overflow,
  // RFC 8446 names no alert for this one; OpenSSL and BoringSSL send illegal_parameter.
  client_hello_too_large: Alert.illegal_parameter,
  client_hello_malformed: Alert.decode_error,
  client_hello_followed: Alert.unexpected_message,
  extension_duplicate: Alert.illegal_parameter,
  server_name_malformed: Alert.decode_error,
  server_name_duplicate: Alert.illegal_parameter,
  server_name_invalid: Alert.illegal_parameter,
  server_name_address: Alert.illegal_parameter,
  alpn_malformed: Alert.decode_error,
  versions_malformed: Alert.decode_error,
  server_name_missing: Alert.missing_extension,
  server_name_unknown: Alert.unrecognized_name,
  alpn_unknown: Alert.no_application_protocol,
  // RFC 8446 §6.1: who closes without an error says close_notify.
  head_timeout: Alert.close_notify,
};

export function rejectionName(rejection: Rejection): RejectionName {
  return rejectionNames[rejection - 1]!;
}

/** The alert that answers a rejection, or undefined where the stream is closed without a word. */
export function alertFor(rejection: Rejection): Alert | undefined {
  return alerts[rejectionName(rejection)];
}
