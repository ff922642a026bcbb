/** What a session is doing, in the words of the admin interface. */
export const sessionStateNames = [
  /** It is not known yet where the client goes, or which endpoint. */
  'accepted',
  /** What tells where it goes is being read. */
  'readingHead',
  /** The TLS handshake with the client goes on. */
  'securing',
  /** Every endpoint is full. */
  'queued',
  'connecting',
  /** The TLS handshake with the endpoint goes on. */
  'securingUpstream',
  'tunnelling',
  'halfClosed',
  /** An HTTP client that has no request under way. */
  'idle',
  /** A request is at its endpoint, or on its way there. */
  'awaiting',
  /** Its response is on its way to the client. */
  'responding',
  /** The last response has gone out; what the client still sends is dropped. */
  'lingering',
] as const;
export type SessionStateName = (typeof sessionStateNames)[number];
