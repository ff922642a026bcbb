/**
 * Which route a request takes, and whom it comes from. Everything is compiled when a worker gets its
 * configuration; the cost of a request does not grow with the number of routes.
 */
export { CanonicalPath, rawOffset } from './canonical-path.js';
export { findCookie } from './cookie.js';
export { type ConnectionFacts, HttpClient, hostText } from './http-client.js';
export { globSource } from './path-trie.js';
export { Router, Routing } from './router.js';
