import type { UpstreamConfig } from '../../config/index.js';

const HTTP_PORT = 80;
const HTTPS_PORT = 443;
/** What a Host says where there is no host: for Unix sockets, and for the demo origin. */
const NAMELESS = 'localhost';

/**
 * What an upstream is called in `Host` where a route says `host: upstream`: its first endpoint, as the
 * configuration calls it. The port is left out where it is that of HTTP (RFC 9110 §4.2.1), or of HTTPS for an
 * upstream that is spoken TLS to (§4.2.2): so clients do, and endpoints call themselves in `Location`.
 */
export function upstreamHost({ endpoints, tls }: UpstreamConfig): string {
  const usualPort = tls === null ? HTTP_PORT : HTTPS_PORT;
  const target = endpoints[0]?.target;
  switch (target?.kind) {
    case undefined:
      return NAMELESS;
    case 'service':
      // RFC 2782: _service._proto, and the name that people know.
      return target.service.replace(/^(_[^.]*\.)+/, '');
    case 'host':
      return withPort(target.host.replace(/\.$/, ''), target.port, usualPort);
    default: {
      const { address } = target;
      if (address.family === 'unix') return NAMELESS;
      const { family, host, port } = address;
      return withPort(family === 'inet' ? host : `[${host}]`, port, usualPort);
    }
  }
}

function withPort(host: string, port: number, usualPort: number): string {
  return port === usualPort ? host : `${host}:${port}`;
}
