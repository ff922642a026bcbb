/**
 * A client's connection, on which requests come one after the other (`connection.ts`, its states in
 * `connection-state.ts`): what happens before the first head (`greeting.ts`), heads as they come (`request-reader.ts`),
 * and how it ends: in order (`farewell.ts`), or as a tunnel (`http-tunnel.ts`).
 */
export { HttpConnection } from './connection.js';
