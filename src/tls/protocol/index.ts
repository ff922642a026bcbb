/**
 * TLS as its RFCs have it, without a socket or OpenSSL in sight: versions, alerts, records, the cipher suites
 * that a kernel can serve, the schedule that makes keys of secrets, and the messages that may follow a handshake.
 */
export { Alert, AlertLevel, alertName, alertNames } from './alerts.js';
export {
  type CipherSuite,
  type KernelCipher,
  kernelCiphers,
  kernelSuite,
} from './cipher-suites.js';
export { DirectionKeys } from './direction-keys.js';
export { HandshakeType, PostHandshake, PostHandshakeEvent } from './post-handshake.js';
export { RECORD_BYTES_MAX, RecordType } from './record.js';
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
