/**
 * From settings, plain data that travels between threads, to what OpenSSL makes connections from: the contexts of a
 * listener (`server-contexts.ts`) and of an upstream (`client-context.ts`), the certificates and keys in them, and whom they
 * trust. All of it is read at start-up and at reloads, which is where a TlsError is thrown.
 */
export { groupByNames } from './certificate-groups.js';
export { ClientContext } from './client-context.js';
export type { ContextUse } from './context.js';
export { commonNameText, nameText } from './name-text.js';
export { type RevocationListFacts, readRevocationDates } from './revocation-list.js';
export { type ContextsInForce, ServerContexts } from './server-contexts.js';
export { spellServerName } from './server-name.js';
export type {
  CertificateSettings,
  ClientAuthSettings,
  ClientTlsSettings,
  KernelTls,
  ProtocolSettings,
  ServerTlsSettings,
} from './settings.js';
