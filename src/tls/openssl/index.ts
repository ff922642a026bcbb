/**
 * The OpenSSL inside Node: its functions (`openssl.ts`, the only file here that loads koffi), what its headers define, and
 * whom a call of it may call back (`callbacks.ts`). Its error queue is read in two ways: into an exception for what was configured
 * (`openssl-error.ts`), and into a word for metrics and log lines where a peer is to blame (`handshake-failure.ts`).
 */
export { type Caller, callbackAddresses, readAsking, shakeHands } from './callbacks.js';
export {
  CallbackAnswer,
  ContextFlag,
  Control,
  Misc,
  SslError,
  TicketReturn,
  TicketStatus,
} from './constants.js';
export { freeConnection } from './free-connection.js';
export {
  failureOf,
  type HandshakeFailure,
  handshakeFailures,
  isReceivedAlert,
  receivedAlert,
} from './handshake-failure.js';
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
export { orThrowTls, TlsError, takeReason } from './openssl-error.js';
