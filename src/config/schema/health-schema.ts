import Type from 'typebox';
import { checkProxyProtocol } from './proxy-protocol-schema.js';
import { type Description, duration, integer, optional, text } from './schema-terms.js';

/** Origin form, RFC 9112 §3.2.1. */
const PATH = { pattern: '^/[!-~]*$', names: 'a path that begins with "/"' };

const http = Type.Object(
  {
    path: Type.String({
      ...PATH,
      title: 'checked path',
      description: 'What is asked for with GET.',
      examples: ['/healthz'],
    } satisfies Description),
    host: Type.Optional(
      text(
        { hostField: true },
        {
          title: 'checked host',
          description: 'The `Host` header; the name or address of the endpoint unless said.',
          examples: ['app.example.com'],
        },
      ),
    ),
    status: Type.Optional(
      Type.Unsafe<string | number>({
        type: ['integer', 'string'],
        statuses: 'http',
        title: 'expected status',
        description: 'Status codes that count as healthy: codes and ranges; 200-399 unless said.',
        examples: [200, '200-299', '200, 204-206'],
      } satisfies Description),
    ),
  },
  { additionalProperties: false },
);

const tls = Type.Object(
  {
    verify: Type.Optional(
      Type.Boolean({
        title: 'verify the certificate',
        description:
          'Whether the certificate must be valid, trusted and for the expected name; as in the `tls` of the upstream unless said.',
        examples: [false],
      } satisfies Description),
    ),
    server_name: Type.Optional(
      text(
        { peerName: true },
        {
          title: 'server name',
          description:
            'The name asked for (SNI) and expected; as in the `tls` of the upstream, or else that of the endpoint, unless said.',
          examples: ['db.example.com'],
        },
      ),
    ),
    ca: Type.Optional(
      text(
        { file: 'certificates' },
        {
          title: 'certificate authorities',
          description:
            'A file with the certificates that are trusted, PEM; as in the `tls` of the upstream, or else those of the system, unless said. A relative path begins at the working directory.',
          examples: ['/etc/headgate/ca.pem'],
        },
      ),
    ),
  },
  { additionalProperties: false },
);

const active = Type.Object(
  {
    interval: duration(
      { from: '10ms', to: '24h' },
      {
        title: 'check interval',
        description:
          'From the beginning of one check to that of the next, and at random up to a tenth more.',
        default: '2s',
        examples: ['10s'],
      },
    ),
    timeout: duration(
      { from: '1ms', to: '1h' },
      {
        title: 'check timeout',
        description: 'How long one check may take, from connecting to the last byte.',
        default: '1s',
        examples: ['500ms'],
      },
    ),
    rise: integer(
      { minimum: 1, maximum: 1000 },
      {
        title: 'passes to rise',
        description: 'Checks in a row that must pass for an endpoint to be up again.',
        default: 2,
        unit: 'checks',
        examples: [3],
      },
    ),
    fall: integer(
      { minimum: 1, maximum: 1000 },
      {
        title: 'failures to fall',
        description: 'Checks in a row that must fail for an endpoint to be down.',
        default: 3,
        unit: 'checks',
        examples: [2],
      },
    ),
    fast_interval: Type.Optional(
      duration(
        { from: '10ms', to: '24h' },
        {
          title: 'fast check interval',
          description:
            'The interval until there is a first verdict, and while checks disagree with the state; `interval` unless said.',
          examples: ['500ms'],
        },
      ),
    ),
    http: Type.Optional(
      Type.Union([Type.String(PATH), http], {
        title: 'HTTP check',
        description:
          'A GET request that must be answered by a good status, as a path or in detail. Without it (and `tls`) a connection that is accepted is enough.',
        examples: ['/healthz', { path: '/healthz', host: 'app.example.com', status: 200 }],
      } satisfies Description),
    ),
    tls: Type.Optional(
      Type.Union([Type.Literal(false), tls], {
        title: 'TLS check',
        description:
          'The endpoint must complete a TLS handshake; with `http`, before the request. As connections are made unless said: with the `tls` of the upstream, if it has one. `false` checks in the clear.',
        examples: [{ verify: true, server_name: 'db.example.com' }, false],
      } satisfies Description),
    ),
    send_proxy_protocol: checkProxyProtocol,
  },
  {
    title: 'active check',
    description: 'Endpoints are asked at intervals whether they are well. Off unless it is here.',
    additionalProperties: false,
    examples: [{ http: '/healthz', interval: '5s' }],
  } satisfies Description,
);

const passive = Type.Object(
  {
    failures: integer(
      { minimum: 1, maximum: 1_000_000 },
      {
        title: 'failures to eject',
        description:
          'Connections that failed in a row, over all workers, before an ejection; with `statuses` also answers.',
        default: 5,
        unit: 'connections',
        examples: [3],
      },
    ),
    eject_for: duration(
      { from: '100ms', to: '24h' },
      {
        title: 'ejection time',
        description: 'How long the first time; each further time twice as long, at most ten times.',
        default: '10s',
        examples: ['30s'],
      },
    ),
    statuses: Type.Optional(
      Type.Unsafe<string | number>({
        type: ['integer', 'string'],
        statuses: 'http',
        title: 'bad answers',
        description:
          'Status codes of HTTP responses that count as failures: codes and ranges. An answer with another status ends a row of failures, a connection alone does not any more. None unless said.',
        examples: ['500-599', '502-504'],
      } satisfies Description),
    ),
    max_ejected: optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        title: 'most ejected endpoints',
        description: 'The part of the endpoints that may be ejected at one time.',
        default: 0.5,
        unit: 'share, from 0 to 1',
        examples: [0.34],
      } satisfies Description),
    ),
  },
  { additionalProperties: false },
);

/** `health:` of an upstream: how its endpoints are found well or not. */
export const health = Type.Object(
  {
    active: Type.Optional(active),
    passive: optional(
      Type.Union([Type.Literal(false), passive], {
        title: 'passive check',
        description:
          'Endpoints that cannot be connected to are left out for a while; `false` for never.',
        default: {},
        examples: [{ failures: 3, eject_for: '30s' }, false],
      } satisfies Description),
    ),
    panic_threshold: optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        title: 'panic threshold',
        description:
          'While a smaller part of the endpoints than this is healthy, all are used: the few would be overrun, or the checks are wrong. 0 is never.',
        default: 0,
        unit: 'share, from 0 to 1',
        examples: [0.3],
      } satisfies Description),
    ),
    slow_start: Type.Optional(
      duration(
        { from: '1ms', to: '24h' },
        {
          title: 'slow start',
          description:
            'How long an endpoint that a check found up again takes to get its full weight, from a tenth. At once unless said.',
          examples: ['30s'],
        },
      ),
    ),
  },
  {
    title: 'health',
    description: 'How it is found out which endpoints are well.',
    additionalProperties: false,
    default: {},
    examples: [{ active: { http: '/healthz' }, slow_start: '30s' }],
  } satisfies Description,
);
