/** How a TLS connection's incoming stream has ended; by {@link tlsEndings} for people. */
export const TlsEnding = {
  /** It has not. */
  None: 0,
  /** In good order: the peer has said so. */
  CloseNotify: 1,
  /** A FIN without close_notify: somebody may have cut the stream (RFC 8446 §6.1). */
  Truncated: 2,
  /** The peer has sent a fatal alert. */
  PeerAlert: 3,
  /** A record that does not decrypt, or is no record. */
  BadRecord: 4,
  /** A message that has no place in an established connection: renegotiation, for one. */
  UnexpectedMessage: 5,
  /** A KeyUpdate, which this kernel cannot follow. */
  KeyUpdate: 6,
  /** As many records were sent as one key is good for (RFC 8446 §5.5), and there is no next key. */
  KeyWornOut: 7,
  /** The connection under it broke: a reset, mostly. */
  Broken: 8,
} as const;
export type TlsEnding = (typeof TlsEnding)[keyof typeof TlsEnding];

/** The names of {@link TlsEnding}, by its numbers; for metrics and log lines. */
export const tlsEndings = [
  'none',
  'close_notify',
  'truncated',
  'peer_alert',
  'bad_record',
  'unexpected_message',
  'key_update',
  'key_worn_out',
  'broken',
] as const;

/** An ending that is a failure by its name; `undefined` for the others. */
export function endingFailure(ending: TlsEnding): string | undefined {
  return ending > TlsEnding.Truncated ? tlsEndings[ending] : undefined;
}
