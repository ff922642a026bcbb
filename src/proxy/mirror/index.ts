/**
 * A second copy of what clients send, to another upstream: whose answers nobody reads, and that nobody
 * waits for. Who gets a copy (mirror), how its bytes come there (shadow stream), and the life of a
 * connection that is given one (shadow), over TCP as it is. Over HTTP there is one for each request;
 * that is in the HTTP room.
 */
export { FlowShadow, followFlow } from './flow-shadow.js';
export { Mirror, type MirrorSnapshot } from './mirror.js';
export { DISCARD_BYTES, type MirrorStatus, Shadow, ShadowState } from './shadow.js';
export { ShadowSet } from './shadow-set.js';
