/**
 * The room of the configuration file: what may stand in it (`schema/`), how its text becomes a value with a place for
 * each part (`document/`), what single values say (`values/`), how a value that does not fit becomes a message for
 * people (`validation/`), which keys do not go together (`rules/`), and the complete, plain object that the rest of the
 * program works from (`config.ts`, and a `*-config.ts` for each part); `tls/` reads certificates, keys and what belongs to
 * them. All that is wrong with a file is found in one run (`load.ts`) and told as `file:line:column: what is wrong,
 * what was expected`. Only schema, rules and what makes the configuration know any key: a new one begins in the schema.
 */

export type {
  AdminConfig,
  Config,
  HttpConfig,
  HttpRouteConfig,
  ListenerConfig,
  TcpRouteConfig,
  UpstreamConfig,
} from './config.js';
export { formatProblem, type Problem } from './document/index.js';
export { type Loaded, type LoadOptions, loadConfig, readConfig } from './load.js';
export type { MirrorConfig } from './mirror-config.js';
export { overlaps } from './rules/index.js';
export { configSchema } from './schema/index.js';
export {
  type CertificateConfig,
  type CertificateDates,
  type ListenerTlsConfig,
  type OcspFacts,
  parseOcspResponse,
  parseRevocationLists,
  parseTicketKeys,
  TICKET_KEY_BYTES,
  type TlsVersionName,
  type UpstreamTlsConfig,
} from './tls/index.js';
export type { EndpointConfig } from './upstream-config.js';
export type { Parsed, StatusRange } from './values/index.js';
export {
  type Address,
  type BindAddress,
  closestWord,
  type EndpointName,
  type EndpointTarget,
  type HostName,
  type Inet6Address,
  type InetAddress,
  isLoopback,
  isWildcard,
  lookupText,
  type Network,
  parseEndpointAddress,
  parseEndpointName,
  parseEndpointTarget,
  parseListenAddress,
  parseNetwork,
  readContent,
  type ServiceName,
  type Template,
  type TemplateVariable,
  templateVariables,
  type UnixAddress,
  withoutDot,
} from './values/index.js';
