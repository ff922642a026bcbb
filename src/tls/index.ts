/**
 * TLS. The handshake is OpenSSL's, the one inside Node, called in the worker on a non-blocking
 * socket; what follows is the kernel's where it can be (kernel TLS) and OpenSSL's where not. Either
 * way a connection becomes a `Transport`, and callers never ask which kind it is.
 *
 * ```
 *   handshake ──▶ transport ──▶ kernel ──▶ protocol
 *       │             │                       ▲
 *       └─▶ contexts ─┴─▶ sessions ─▶ openssl ┘
 * ```
 */

export {
  type CertificateSettings,
  type ClientAuthSettings,
  ClientContext,
  type ClientTlsSettings,
  type ContextsInForce,
  type ContextUse,
  groupByNames,
  type KernelTls,
  type ProtocolSettings,
  type RevocationListFacts,
  readRevocationDates,
  ServerContexts,
  type ServerTlsSettings,
} from './contexts/index.js';
export {
  Handshake,
  HandshakeResult,
  HandshakeState,
  type PeerCertificate,
  type Takeover,
  type TlsRoom,
  type TlsSession,
  TrafficSecrets,
  takeOver,
} from './handshake/index.js';
export {
  attachKernelTls,
  CRYPTO_INFO_BYTES_MAX,
  type CryptoInfoLayout,
  canRenewKernelKeys,
  cryptoInfoLayout,
  installKey,
  type KernelTlsOffer,
  KernelTlsRefusal,
  kernelTlsRefusals,
  keyRefusal,
  offersKernelTls,
  probeKernelTls,
  receiveRecord,
  recordContent,
  recordType,
  sendRecord,
  TlsOption,
  writeCryptoInfo,
} from './kernel/index.js';
export {
  bindOpenSsl,
  Callback,
  type HandshakeFailure,
  handshakeFailures,
  lastErrno,
  loadOpenSsl,
  type OpenSsl,
  readString,
  receivedAlert,
  registerCallback,
  type SymbolLibrary,
  TlsError,
} from './openssl/index.js';
export {
  Alert,
  AlertLevel,
  alertName,
  type CipherSuite,
  DirectionKeys,
  type KernelCipher,
  kernelCiphers,
  kernelSuite,
  nextSecret,
  PostHandshake,
  PostHandshakeEvent,
  prf,
  RECORD_BYTES_MAX,
  RecordType,
  TlsVersion,
  type TrafficKey,
  type TrafficKeys,
  tls12Keys,
  tls13Key,
  wipe,
} from './protocol/index.js';
export {
  RecordSealer,
  SEALED_CONTENT_MAX,
  SessionSlot,
  sealedRecord,
  TICKET_KEY_BYTES,
  TicketIntake,
  TicketOutcome,
  ticketOutcomes,
} from './sessions/index.js';
export {
  KernelTlsReader,
  KernelTlsTransport,
  KernelTlsWriter,
  TlsEnding,
  type TlsTransport,
  tlsEndings,
  UserlandTlsTransport,
} from './transport/index.js';
