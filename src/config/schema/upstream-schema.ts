import Type from 'typebox';
import { health } from './health-schema.js';
import { upstreamSocket } from './listener-schema.js';
import { sendProxyProtocol } from './proxy-protocol-schema.js';
import { address, type Description, duration, integer, optional, text } from './schema-terms.js';
import { upstreamTls } from './tls-schema.js';

const endpoint = Type.Object(
  {
    address: text(
      { address: 'endpoint' },
      {
        title: 'endpoint address',
        description:
          'Where the endpoint is. `name:port` is every address of that name, `srv:_service._proto.name` every host and port of its SRV records; both are looked up again when the answer expires.',
        examples: ['127.0.0.1:3000', 'db.example.com:5432', 'srv:_pg._tcp.example.com'],
      },
    ),
    weight: integer(
      { minimum: 0, maximum: 256 },
      {
        title: 'endpoint weight',
        description: 'Its share of the connections, relative to the others; 0 is none.',
        default: 1,
        unit: 'shares',
        examples: [2],
      },
    ),
    backup: optional(
      Type.Boolean({
        title: 'backup endpoint',
        description: 'Whether it is used only while none of the others is in use.',
        default: false,
        examples: [true],
      } satisfies Description),
    ),
  },
  { additionalProperties: false },
);

const connections = Type.Object(
  {
    per_endpoint: Type.Optional(
      integer(
        { minimum: 1, maximum: 1_000_000 },
        {
          title: 'most connections per endpoint',
          description: 'Over all workers; no limit unless said.',
          unit: 'connections',
          examples: [1000],
        },
      ),
    ),
    queue: integer(
      { minimum: 0, maximum: 1_000_000 },
      {
        title: 'queue',
        description: 'Client connections that may wait while every endpoint is full; 0 for none.',
        default: 1024,
        unit: 'connections',
        examples: [100],
      },
    ),
    queue_timeout: duration(
      { from: '1ms', to: '1h' },
      {
        title: 'queue timeout',
        description: 'How long each of them waits at most.',
        default: '5s',
        examples: ['1s'],
      },
    ),
    idle: integer(
      { minimum: 0, maximum: 1_000_000 },
      {
        title: 'idle connections',
        description:
          'HTTP connections to each endpoint that each worker keeps for later requests; 0 for none.',
        default: 256,
        unit: 'connections',
        examples: [64],
      },
    ),
    idle_timeout: duration(
      { from: '1ms', to: '24h' },
      {
        title: 'idle timeout of connections to endpoints',
        description:
          'How long each of them is kept. Shorter than what the endpoint waits, so that it is not the one who closes; one that says how long that is (`Keep-Alive: timeout=SECONDS`) gets no request on it in the last second.',
        default: '60s',
        examples: ['4s'],
      },
    ),
  },
  {
    title: 'connections',
    description: 'How many connections endpoints get, and who waits for one.',
    additionalProperties: false,
    default: {},
    examples: [{ per_endpoint: 100, queue: 50, queue_timeout: '2s' }],
  } satisfies Description,
);

/** Everything that may be said of an upstream. */
export const upstream = Type.Object(
  {
    endpoints: Type.Optional(
      Type.Array(Type.Union([address('endpoint'), endpoint]), {
        minItems: 1,
        title: 'endpoints',
        description:
          'Who serves this upstream. An address that is there twice, or that two names lead to, is one endpoint.',
        examples: [
          ['127.0.0.1:3000', '[::1]:3000', 'unix:/run/app.sock', 'unix:@name'],
          ['db.example.com:5432', { address: '10.0.0.9:5432', backup: true }],
        ],
      } satisfies Description),
    ),
    demo: Type.Optional(
      Type.Literal(true, {
        title: 'demo origin',
        description:
          'Instead of endpoints: a small HTTP origin inside the process, to try things with.',
        examples: [true],
      } satisfies Description),
    ),
    balance: optional(
      Type.Union(
        [
          Type.Enum(['round_robin', 'least_connections', 'random_two']),
          Type.Object(
            {
              hash: Type.Union(
                [
                  Type.Enum(['source_ip', 'path']),
                  Type.String({
                    pattern: "^(header|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
                    names: 'header:NAME or cookie:NAME',
                  }),
                ],
                {
                  title: 'hashed',
                  description:
                    'What the endpoint is chosen by: the address of the client, and for HTTP the path, a header field or a cookie. Requests without the field or the cookie, or with an empty one, go to any of them, as their weights say.',
                  examples: ['source_ip', 'header:x-user', 'cookie:session', 'path'],
                } satisfies Description,
              ),
            },
            { additionalProperties: false },
          ),
        ],
        {
          title: 'balancing',
          description:
            'How endpoints are chosen: in turn, the one with the fewest connections, the better of two at random; or by a hash, so that the same client comes to the same endpoint.',
          default: 'round_robin',
          examples: ['least_connections', { hash: 'source_ip' }],
        } satisfies Description,
      ),
    ),
    socket: upstreamSocket,
    send_proxy_protocol: sendProxyProtocol,
    tls: Type.Optional(upstreamTls),
    health: optional(health),
    connections: optional(connections),
  },
  { additionalProperties: false, oneOf: [{ required: ['endpoints'] }, { required: ['demo'] }] },
);
