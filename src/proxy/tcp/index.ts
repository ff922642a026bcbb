/**
 * The head of a TCP stream: a PROXY header, a TLS ClientHello, and the route that follows from them.
 * Parsers on bytes, which answer *n consumed*, *partial* or *rejected* and never throw; and the reader
 * that drives them from a socket without taking a byte more than belongs to Headgate.
 */
export { ClientHello, parseClientHello } from './client-hello.js';
export { HELLO_STREAM_BYTES_MAX } from './handshake-message.js';
export { HeadMemory } from './head-memory.js';
export {
  alertFor,
  PARTIAL,
  Rejection,
  type RejectionName,
  rejectionName,
  rejectionNames,
} from './head-rejection.js';
export { type ProxyEndpoints, ProxyHeader } from './proxy-header.js';
export { PROXY_HEADER_BYTES_MAX, parseProxyHeader } from './proxy-protocol.js';
export {
  encodeProxySsl,
  findTlv,
  type ProxySsl,
  ProxySslClient,
  ProxySslType,
  type ProxyTlv,
  ProxyTlvType,
  readProxySsl,
} from './proxy-tlv.js';
export { V1_BYTES_MAX, writeProxyV1 } from './proxy-v1.js';
export { type ProxyV2Options, V2_FIXED_BYTES, writeProxyV2 } from './proxy-v2.js';
export { type ServerNameRule, ServerNames, type StreamName } from './server-names.js';
export { type ExpectedHead, HeadReader, HeadResult, HeadState } from './stream-head.js';
export { Alert, alertRecord, sendAlert } from './tls-alert.js';
