/**
 * HTTP/1.1 between clients and endpoints. A client's `connection/` reads one head after the other; an `exchange/` is
 * one request and its response, over a connection to an endpoint that comes from the `pool/`. What a listener does
 * with requests was compiled when the worker got its configuration: `http-service.ts` is all of it, `http-policy.ts` its
 * rules, `http-route.ts` one route. The bytes themselves are read in `message/`; the other rooms each know one thing
 * about a request: which route it takes, what is written anew, who may, where a copy goes, whom a client named, and
 * what is told of it.
 */
export { HttpConnection } from './connection/index.js';
export { HttpGate } from './http-gate.js';
export { HttpRoom } from './http-room.js';
export { HttpService } from './http-service.js';
export type {
  HeaderEditsSnapshot,
  HttpRouteSnapshot,
  HttpSnapshot,
  PathPatternSnapshot,
} from './http-snapshot.js';
export { type LatenessName, latenessNames } from './lateness.js';
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
export { RouteCounters, requestBoundsMs } from './route-counters.js';
export { routeDefaults } from './route-defaults.js';
