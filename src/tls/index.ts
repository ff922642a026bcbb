/**
 * TLS. The handshake is OpenSSL's, the one inside Node, called in the worker on a non-blocking
 * socket; what follows is the kernel's where it can be (kernel TLS) and OpenSSL's where not. Either
 * way a connection becomes a `Transport`, and callers never ask which kind it is.
 */
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
export {
  type CertificateSettings,
  type ClientAuthSettings,
  type ClientTlsSettings,
  type KernelTls,
  type ProtocolSettings,
  type ServerTlsSettings,
  TlsVersion,
} from './settings.js';
