/**
 * What single values say: addresses, names, durations, patterns, hashes, files. Each module knows one kind of text,
 * reads it to a {@link Parsed} value, and has the words for it that messages are made of.
 */
export {
  type Address,
  type BindAddress,
  type Inet6Address,
  type InetAddress,
  isLoopback,
  isWildcard,
  LISTEN_ADDRESS,
  parseBindAddress,
  parseEndpointAddress,
  parseListenAddress,
  type UnixAddress,
} from './address.js';
export { APPENDED_FILE, readAppendedFile } from './appended-file.js';
export { type CipherListKind, cipherLists, isCurve, parseCipherList } from './cipher-list.js';
export { DIRECTORY, parseDirectory } from './directory.js';
export {
  type EndpointName,
  type HostName,
  lookupText,
  parseEndpointName,
  type ServiceName,
  withoutDot,
} from './endpoint-name.js';
export { ENDPOINT_TARGET, type EndpointTarget, parseEndpointTarget } from './endpoint-target.js';
export { FIELD_PATTERN, hopFields, parseRemovableField, reserved } from './field-name.js';
export { CANDIDATE, parseCandidate } from './file-candidate.js';
export { Files, readContent } from './files.js';
export { FORWARD_TARGET, parseForwardTarget } from './forward-target.js';
export {
  parseTemplate,
  TEMPLATE,
  type Template,
  type TemplateVariable,
  templateVariables,
} from './header-template.js';
export { HOST_FIELD, HOST_TEMPLATE, parseHostField, parseHostTemplate } from './host-field.js';
export { HOST_PATTERN, parseHostPattern } from './host-pattern.js';
export { HOST, NETWORK, type Network, parseHostAddress, parseNetwork } from './network.js';
export { accepted, type Parsed, refused, valid } from './parsed.js';
export { PASSWORD_HASH, parsePasswordHash } from './password-hash.js';
export { PATH, PATH_PATTERN, parsePath, parsePathPattern } from './path-pattern.js';
export { CERTIFICATE_FILE, readCertificateFile } from './pem-file.js';
export { DURATION, parseDuration, parseSize, SIZE } from './quantity.js';
export { parseRegularExpression, REGULAR_EXPRESSION } from './regular-expression.js';
export {
  PEER_NAME,
  parsePeerName,
  parseServerName,
  parseSubjectName,
  SERVER_NAME,
  SUBJECT_NAME,
} from './server-name.js';
export { parseStatusRanges, STATUS_RANGES, type StatusRange } from './status-ranges.js';
export { allOf, closestWord, expectedWord, oneOf } from './suggestion.js';
