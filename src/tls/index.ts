/**
 * TLS. The handshake is OpenSSL's, the one inside Node, called in the worker on a non-blocking
 * socket; what follows is the kernel's where it can be (kernel TLS) and OpenSSL's where not. Either
 * way a connection becomes a `Transport`, and callers never ask which kind it is.
 */

export { Alert, AlertLevel, alertName } from './alerts.js';
export {
  type CipherSuite,
  type KernelCipher,
  kernelCiphers,
  kernelSuite,
} from './cipher-suites.js';
export { ClientContext } from './client-context.js';
export type { ContextUse } from './context.js';
export {
  receiveRecord,
  recordContent,
  recordType,
  sendRecord,
  TlsOption,
} from './control-record.js';
export {
  CRYPTO_INFO_BYTES_MAX,
  type CryptoInfoLayout,
  cryptoInfoLayout,
  writeCryptoInfo,
} from './crypto-info.js';
export { DirectionKeys } from './direction-keys.js';
export { Handshake, HandshakeResult, HandshakeState, type TlsRoom } from './handshake.js';
export { type HandshakeFailure, handshakeFailures, receivedAlert } from './handshake-failure.js';
export {
  attachKernelTls,
  installKey,
  KernelTlsRefusal,
  kernelTlsRefusals,
  keyRefusal,
} from './kernel-tls.js';
export { offersKernelTls } from './kernel-tls-offer.js';
export { canRenewKernelKeys, type KernelTlsOffer, probeKernelTls } from './kernel-tls-probe.js';
export { KernelTlsReader, RECORD_BYTES_MAX } from './kernel-tls-reader.js';
export { KernelTlsTransport } from './kernel-tls-transport.js';
export { KernelTlsWriter } from './kernel-tls-writer.js';
export {
  bindOpenSsl,
  Callback,
  lastErrno,
  loadOpenSsl,
  type OpenSsl,
  readString,
  registerCallback,
  type SymbolLibrary,
} from './openssl.js';
export { TlsError } from './openssl-error.js';
export { PostHandshake, PostHandshakeEvent } from './post-handshake.js';
export { RecordSealer, SEALED_CONTENT_MAX, sealedRecord } from './record-sealer.js';
export { RecordType } from './record-type.js';
export { type RevocationListFacts, readRevocationDates } from './revocation-list.js';
export { ServerContexts } from './server-contexts.js';
export { SessionSlot } from './session-slot.js';
export type {
  CertificateSettings,
  ClientAuthSettings,
  ClientTlsSettings,
  KernelTls,
  ProtocolSettings,
  ServerTlsSettings,
} from './settings.js';
export { type Takeover, takeOver } from './takeover.js';
export {
  TicketIntake,
  TicketOutcome,
  ticketOutcomes,
} from './ticket-intake.js';
export { TICKET_KEY_BYTES } from './ticket-keys.js';
export { TlsEnding, tlsEndings } from './tls-ending.js';
export type { PeerCertificate, TlsSession } from './tls-session.js';
export type { TlsTransport } from './tls-transport.js';
export { TlsVersion } from './tls-version.js';
export {
  nextSecret,
  prf,
  type TrafficKey,
  type TrafficKeys,
  tls12Keys,
  tls13Key,
  wipe,
} from './traffic-keys.js';
export { TrafficSecrets } from './traffic-secrets.js';
export { UserlandTlsTransport } from './userland-transport.js';
