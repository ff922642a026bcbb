/**
 * Connections to endpoints that speak HTTP: those in use (`upstream-connection.ts`), the idle ones
 * (`upstream-pool.ts`), and how an exchange comes by one of either (`endpoint-link.ts`).
 */
export { EndpointLink, type LinkOwner } from './endpoint-link.js';
export { UpstreamConnection, type UpstreamUser } from './upstream-connection.js';
export { UpstreamPool } from './upstream-pool.js';
