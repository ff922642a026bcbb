/**
 * HTTP/1.1 between clients and endpoints. A client's connection (`connection.ts`) reads heads and greets, an
 * exchange (`exchange.ts`) is one request and its response, with a link to an endpoint that comes from the pool
 * (`upstream-pool.ts`); `http-policy.ts` and `http-route.ts` are what a listener's configuration was compiled to.
 * The bytes themselves are read in `message/`; the other rooms each know one thing about a request: which route
 * it takes, what is written anew, who may, where a copy goes, whom a client named, and what is told of it.
 */
export { HttpConnection } from './connection.js';
export { HttpGate } from './http-gate.js';
export { HttpRoom } from './http-room.js';
export { HttpService } from './http-service.js';
export {
  ChunkScanner,
  type ErrorAnswer,
  ErrorResponses,
  type ErrorText,
  Framing,
  HeaderName,
  type HeadLimits,
  HttpRejection,
  type HttpRejectionName,
  headerNames,
  httpDate,
  httpRejectionName,
  httpRejectionNames,
  MessageHead,
  Method,
  methodNames,
  PARTIAL,
  RequestHead,
  ResponseHead,
  reasonPhrase,
  Scheme,
  statusFor,
  TargetForm,
} from './message/index.js';
