/**
 * TLS. The handshake is OpenSSL's, the one inside Node, called in the worker on a non-blocking
 * socket; what follows is the kernel's where it can be (kernel TLS) and OpenSSL's where not. Either
 * way a connection becomes a `Transport`, and callers never ask which kind it is.
 */
export {
  type CipherSuite,
  type KernelCipher,
  kernelCiphers,
  kernelSuite,
} from './cipher-suites.js';
export {
  CRYPTO_INFO_BYTES_MAX,
  type CryptoInfoLayout,
  cryptoInfoLayout,
  writeCryptoInfo,
} from './crypto-info.js';
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
export {
  nextSecret,
  prf,
  type TrafficKey,
  type TrafficKeys,
  tls12Keys,
  tls13Key,
  wipe,
} from './traffic-keys.js';
