import { TlsVersion } from './tls-version.js';

/** HandshakeType (RFC 8446 §4, RFC 5246 §7.4), those that may follow a handshake. */
export const HandshakeType = { HelloRequest: 0, NewSessionTicket: 4, KeyUpdate: 24 } as const;

/** What {@link PostHandshake.take} has found. */
export const PostHandshakeEvent = {
  /** The message goes on in the next part. */
  Incomplete: 0,
  /** A message to be passed over: a ticket, a HelloRequest. */
  Ignored: 1,
  /** The peer sends with its next key from here on. */
  KeyUpdate: 2,
  /** The same, and asks for ours. */
  KeyUpdateRequested: 3,
  /** A message that has no place here: renegotiation, for one. */
  Unexpected: 4,
  /** One that breaks its own rules. */
  Malformed: 5,
} as const;
export type PostHandshakeEvent = (typeof PostHandshakeEvent)[keyof typeof PostHandshakeEvent];

const HEADER_BYTES = 4;
/** A ticket has at most 2^16 bytes, and as many extensions (RFC 8446 §4.6.1). */
const MESSAGE_BYTES_MAX = 2 * 65536 + 1024;

/**
 * Reads the handshake messages that come after the handshake, from parts of any length: a message
 * may begin and end anywhere in a record (RFC 8446 §5.1).
 *
 * ```
 *   header ──4 bytes──▶ body ──its length──▶ header
 * ```
 */
export class PostHandshake {
  /** How much of the part the last {@link take} has used. */
  consumed = 0;
  /** HandshakeType of the message that the last {@link take} has found, or found a part of. */
  type = 0;
  private headerBytes = 0;
  /** Bytes of the body that are still to come. */
  private missing = 0;

  constructor(
    private readonly version: TlsVersion,
    private readonly isServer: boolean,
  ) {}

  /** Takes the next message out of a part, or what there is of it. */
  take(part: Uint8Array, start: number, end: number): PostHandshakeEvent {
    let at = start;
    while (at < end && this.headerBytes < HEADER_BYTES) {
      const byte = part[at++]!;
      if (this.headerBytes++ > 0) this.missing = this.missing * 256 + byte;
      else this.begin(byte);
    }
    const bodyBytes = Math.min(this.missing, end - at);
    this.consumed = at - start;
    if (this.headerBytes === 0) return PostHandshakeEvent.Incomplete;
    if (!this.isExpected()) return PostHandshakeEvent.Unexpected;
    if (this.headerBytes < HEADER_BYTES) return PostHandshakeEvent.Incomplete;
    if (!this.hasLegalLength()) return PostHandshakeEvent.Malformed;
    this.missing -= bodyBytes;
    this.consumed += bodyBytes;
    if (this.missing > 0) return PostHandshakeEvent.Incomplete;
    this.headerBytes = 0;
    return this.type === HandshakeType.KeyUpdate
      ? keyUpdate(part[at]!)
      : PostHandshakeEvent.Ignored;
  }

  private begin(type: number): void {
    this.type = type;
    this.missing = 0;
  }

  private isExpected(): boolean {
    const { HelloRequest, NewSessionTicket, KeyUpdate } = HandshakeType;
    if (this.version === TlsVersion.Tls12) return !this.isServer && this.type === HelloRequest;
    return this.type === KeyUpdate || (!this.isServer && this.type === NewSessionTicket);
  }

  private hasLegalLength(): boolean {
    if (this.type === HandshakeType.NewSessionTicket) return this.missing <= MESSAGE_BYTES_MAX;
    // A KeyUpdate whose byte is on its way has the right length; a HelloRequest has none.
    return this.missing === (this.type === HandshakeType.KeyUpdate ? 1 : 0);
  }
}

/** RFC 8446 §4.6.3: update_not_requested, or update_requested. */
function keyUpdate(request: number): PostHandshakeEvent {
  if (request > 1) return PostHandshakeEvent.Malformed;
  return request === 1 ? PostHandshakeEvent.KeyUpdateRequested : PostHandshakeEvent.KeyUpdate;
}
