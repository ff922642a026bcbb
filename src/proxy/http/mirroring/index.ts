/**
 * Copies of requests, for another upstream: which are mirrored and what their heads say there (request
 * mirror), a copy on its way (request shadow), and the response that nobody reads (dropped answer).
 * What shadows have in common, of requests or of whole connections, is in the mirror room.
 */
export { RequestMirror } from './request-mirror.js';
export type { RequestShadow } from './request-shadow.js';
