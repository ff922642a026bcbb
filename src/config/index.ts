/**
 * The room of the configuration file: what may stand in it (`schema.ts`), how its text becomes a value with
 * a place for each part (`document.ts`, over `syntax.ts` and `node-reader.ts`), how a value that does not fit
 * becomes a message for people (`validation.ts`), and the complete, plain object that the rest of the program
 * works from (`config.ts`); `tls/` does all of that for certificates, keys and what belongs to them. All that is
 * wrong with a file is found in one run and told as `file:line:column: what is wrong, what was expected`. Only the
 * schema, what makes the configuration of it (`config.ts`), and the rules about several keys (`bind-clash.ts`,
 * `route-order.ts`, `http-rules.ts`, `balance-rules.ts`, `capture-rules.ts`) know any key: a new one begins in the schema.
 */
export {
  type Address,
  type BindAddress,
  type Inet6Address,
  type InetAddress,
  parseEndpointAddress,
  parseListenAddress,
  type UnixAddress,
} from './address.js';
export { overlaps } from './bind-clash.js';
export type {
  AdminConfig,
  Config,
  HttpConfig,
  HttpRouteConfig,
  ListenerConfig,
  TcpRouteConfig,
  UpstreamConfig,
} from './config.js';
export {
  type EndpointName,
  type HostName,
  lookupText,
  parseEndpointName,
  type ServiceName,
  withoutDot,
} from './endpoint-name.js';
export { type EndpointTarget, parseEndpointTarget } from './endpoint-target.js';
export { readContent } from './files.js';
export { type Template, type TemplateVariable, templateVariables } from './header-template.js';
export { type Loaded, type LoadOptions, loadConfig, readConfig } from './load.js';
export type { MirrorConfig } from './mirror-config.js';
export { type Network, parseNetwork } from './network.js';
export type { Parsed } from './parsed.js';
export { formatProblem, type Problem } from './problem.js';
export { configSchema } from './published-schema.js';
export type { StatusRange } from './status-ranges.js';
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
