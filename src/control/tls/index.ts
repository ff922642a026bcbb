/**
 * The room of what TLS is done with, on the control thread: from the configuration's certificates to the settings
 * workers are told (`credentials.ts`, one `server-credentials.ts` for each listener), ticket keys and their rotation,
 * OCSP responses as their files change, a certificate for development, and whom to trust at upstreams.
 */
export { clientSettings } from './client-settings.js';
export { Credentials, type PreparedCredentials } from './credentials.js';
export type { CertificateExpiry } from './server-credentials.js';
export { readSystemAuthorities, systemAuthorities } from './system-authorities.js';
