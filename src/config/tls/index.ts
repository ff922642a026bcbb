/**
 * What the configuration says of TLS, once the schema has its keys right: `findings.ts` has what is wrong with them and with
 * the files they name, and `tls-config.ts` makes the complete, plain object: chains and keys as PEM, keys
 * decrypted. Each kind of file is read by a module of its own, and OpenSSL is asked wherever it has the last word.
 */
export type { CertificateConfig, CertificateDates } from './certificate.js';
export { parseRevocationLists } from './client-auth.js';
export { findTlsProblems } from './findings.js';
export { type OcspFacts, parseOcspResponse } from './ocsp-response.js';
export type { TlsVersionName } from './preset.js';
export { parseTicketKeys, TICKET_KEY_BYTES } from './ticket-keys.js';
export {
  type ListenerTlsConfig,
  toListenerTls,
  toUpstreamTls,
  type UpstreamTlsConfig,
} from './tls-config.js';
