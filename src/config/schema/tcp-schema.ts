import Type from 'typebox';
import { capture } from './capture-schema.js';
import { tcpMirror } from './mirror-schema.js';
import { type Description, reference, text } from './schema-terms.js';

const serverName = text({ serverName: true });

const tcpRoute = Type.Object(
  {
    sni: Type.Optional(
      Type.Union([serverName, Type.Array(serverName, { minItems: 1 })], {
        title: 'server names',
        description:
          'The names in the TLS ClientHello that this route is for, one or a list. `*.example.com` is every name below `example.com`, and `*` every name. An exact name wins over a wildcard, a longer wildcard over a shorter one, whatever their order. Where TLS is passed on, a ClientHello with an address for a name, or a name with a dot at its end, breaks RFC 6066 §3 and is answered with an alert, whatever the routes say.',
        examples: ['db.example.com', ['example.com', '*.example.com']],
      } satisfies Description),
    ),
    alpn: Type.Optional(
      Type.Array(Type.String({ pattern: '^[!-~]{1,255}$', names: 'the name of a protocol' }), {
        minItems: 1,
        title: 'application protocols',
        description:
          'The client must offer one of these (ALPN, RFC 7301), or the route is as if it were not there.',
        examples: [['h2', 'http/1.1'], ['postgresql']],
      } satisfies Description),
    ),
    upstream: reference('upstreams', {
      title: 'upstream',
      description: 'The name of the upstream that these connections are forwarded to.',
      examples: ['pg'],
    }),
  },
  { additionalProperties: false },
);

/** What a listener expects in front of its streams. */
export const acceptProxyProtocol = Type.Object(
  {
    from: Type.Array(text({ network: true }), {
      minItems: 1,
      title: 'trusted senders',
      description:
        'Networks whose connections begin with a PROXY header, version 1 or 2; one without is closed. Connections from elsewhere are taken as they are, and a PROXY header of theirs is data like any other. Those over a Unix socket have no address and are from elsewhere.',
      examples: [['10.0.0.0/8', '2001:db8::/32', '192.0.2.1']],
    } satisfies Description),
  },
  {
    title: 'PROXY protocol of clients',
    description:
      'Takes the address of the client from the PROXY header that a proxy in front sends, for logs, for `/api/flows` and for hashing. `allow`, `deny` and `limits` of the listener go by who connects: the proxy.',
    additionalProperties: false,
    examples: [{ from: ['10.0.0.0/8'] }],
  } satisfies Description,
);

/** A listener's `tcp`. */
export const tcpForwarding = Type.Object(
  {
    upstream: Type.Optional(
      reference('upstreams', {
        title: 'upstream',
        description: 'The name of the upstream that connections are forwarded to.',
        examples: ['pg'],
      }),
    ),
    routes: Type.Optional(
      Type.Array(tcpRoute, {
        minItems: 1,
        title: 'routes',
        description:
          'Where connections go by what their TLS ClientHello says. TLS is passed on untouched, not decrypted. A route without `sni` and `alpn` is the default and the last one; without it, other names are answered with an alert.',
        examples: [[{ sni: 'db.example.com', upstream: 'pg' }, { upstream: 'api' }]],
      } satisfies Description),
    ),
    mirror: tcpMirror,
    capture,
  },
  {
    title: 'TCP forwarding',
    description: 'Forwards each connection byte for byte, to one upstream or by `routes`.',
    additionalProperties: false,
    oneOf: [{ required: ['upstream'] }, { required: ['routes'] }],
    examples: [{ upstream: 'pg' }],
  } satisfies Description,
);
