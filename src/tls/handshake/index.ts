/**
 * From a socket that was just accepted or connected to a transport: what the first bytes are, OpenSSL's handshake
 * (`handshake.ts`), the secrets it gives away meanwhile, what was agreed on, and who has the records from then on
 * (`takeover.ts`).
 */
export { Handshake, type TlsRoom } from './handshake.js';
export { HandshakeResult, HandshakeState } from './handshake-state.js';
export { type Takeover, takeOver } from './takeover.js';
export type { PeerCertificate, TlsSession } from './tls-session.js';
export { TrafficSecrets } from './traffic-secrets.js';
