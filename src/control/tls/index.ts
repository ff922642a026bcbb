/**
 * The room of what TLS is done with, on the control thread: from the configuration's certificates to the settings
 * workers are told (`credentials.ts`, one `server-credentials.ts` for each listener), ticket keys and their rotation,
 * OCSP responses and revocation lists as their files change, a certificate for development, and whom to trust at
 * upstreams. How long each of them holds is a `Validity`: for the log, the metrics and `headgate check`.
 */
export { clientSettings } from './client-settings.js';
export { Credentials, type PreparedCredentials } from './credentials.js';
export { readSystemAuthorities, systemAuthorities } from './system-authorities.js';
export { tlsChecks } from './tls-checks.js';
export { unusedCertificateChecks } from './unused-certificates.js';
export type { Validity } from './validity.js';
export { validityChecks } from './validity-checks.js';
