import type { UpstreamConfig } from '../../config/index.js';

const HTTP_PORT = 80;
/** What a Host says where there is no host: for Unix sockets, and for the demo origin. */
const NAMELESS = 'localhost';

/**
 * What an upstream is called in `Host` where a route says `host: upstream`: its first endpoint, as the
 * configuration calls it. The port is left out where it is that of HTTP (RFC 9110 §4.2.1).
 */
export function upstreamHost({ endpoints }: UpstreamConfig): string {
  const target = endpoints[0]?.target;
  switch (target?.kind) {
    case undefined:
      return NAMELESS;
    case 'service':
      // RFC 2782: _service._proto, and the name that people know.
      return target.service.replace(/^(_[^.]*\.)+/, '');
    case 'host':
      return withPort(target.host.replace(/\.$/, ''), target.port);
    default: {
      const { address } = target;
      if (address.family === 'unix') return NAMELESS;
      const { family, host, port } = address;
      return withPort(family === 'inet' ? host : `[${host}]`, port);
    }
  }
}

function withPort(host: string, port: number): string {
  return port === HTTP_PORT ? host : `${host}:${port}`;
}
