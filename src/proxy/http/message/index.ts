/**
 * The bytes of HTTP/1.1, without a socket in sight: heads of requests and responses, what frames their
 * bodies, chunked framing, and the answers we give ourselves when a request cannot be served. Parsers
 * answer *n consumed*, *partial* or *rejected* and never throw; they are strict wherever two readers of the
 * same bytes could come to different conclusions (RFC 9112 §11.2).
 */
export { CR, LF, SP } from './characters.js';
export { ChunkScanner } from './chunk-scanner.js';
export { type ErrorAnswer, ErrorResponses, type ErrorText } from './error-response.js';
export { isEmptyLines } from './head-end.js';
export { HeadWriter } from './head-writer.js';
export { HeaderName, headerNames } from './header-name.js';
export { dateLine, httpDate } from './http-date.js';
export {
  HttpRejection,
  type HttpRejectionName,
  httpRejectionName,
  httpRejectionNames,
  PARTIAL,
  statusFor,
} from './http-rejection.js';
export { keepAliveMs } from './keep-alive.js';
export type { Latin1Buffer } from './latin1-buffer.js';
export { Framing, MessageHead } from './message-head.js';
export { Method, methodNames } from './method.js';
export { reasonPhrase } from './reason-phrase.js';
export { type HeadLimits, RequestHead } from './request-head.js';
export { Scheme, TargetForm } from './request-target.js';
export { ResponseHead } from './response-head.js';
export { TrailerLine } from './trailer-line.js';
export { TrailerNames } from './trailer-names.js';
export { upgradeProtocols } from './upgrade-protocols.js';
