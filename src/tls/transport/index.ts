/**
 * A TLS connection as a `Transport`. OpenSSL has both directions of it (`userland-transport.ts`), or the kernel has one or
 * both (`kernel-tls-transport.ts`), each a half that the kernel or OpenSSL stands behind (`tls-halves.ts`). How its stream has
 * ended is told in one way by all of them (`tls-ending.ts`).
 */
export { KernelTlsReader } from './kernel-tls-reader.js';
export { KernelTlsTransport } from './kernel-tls-transport.js';
export { KernelTlsWriter } from './kernel-tls-writer.js';
export { OpenSslReader, OpenSslWriter } from './openssl-halves.js';
export { TlsEnding, tlsEndings } from './tls-ending.js';
export type { TlsTransport } from './tls-transport.js';
export { UserlandTlsTransport } from './userland-transport.js';
