import Type from 'typebox';
import {
  type Description,
  duration,
  integer,
  networks,
  optional,
  size,
  text,
} from './schema-terms.js';

const rate = Type.Object(
  {
    requests: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      title: 'requests',
      description: 'So many requests each `per`, in the long run.',
      unit: 'requests',
      examples: [100],
    } satisfies Description),
    per: duration(
      { from: '1ms', to: '24h' },
      {
        title: 'per',
        description: 'The time in which so many may come.',
        default: '1s',
        examples: ['1m'],
      },
    ),
    burst: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        title: 'burst',
        description: 'So many may come at once; as many as `requests` unless set.',
        unit: 'requests',
        examples: [20],
      } satisfies Description),
    ),
    key: optional(
      Type.Union(
        [
          Type.Enum(['source', 'route']),
          Type.String({
            pattern: "^header:[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
            names: 'header:NAME',
          }),
        ],
        {
          title: 'rate key',
          description:
            'What is counted together: requests of one client (an IPv4 address or an IPv6 /64), all requests of the route, or those with one value of a header; those without it are counted together.',
          default: 'source',
          examples: ['route', 'header:x-api-key'],
        } satisfies Description,
      ),
    ),
  },
  {
    title: 'request rate',
    description:
      'How often requests may come, over all workers; more are answered with 429 and `Retry-After`. Counted in fixed memory: with very many clients at once, one may be held back a little early, never late.',
    additionalProperties: false,
    examples: [{ requests: 100, per: '1m', burst: 20, key: 'source' }],
  } satisfies Description,
);

/** Who may use a route, and how much. */
export const protectionKeys = {
  allow: networks({
    title: 'allowed networks',
    description: 'Only clients from these networks are served; others are answered with 403.',
    examples: [['10.0.0.0/8']],
  }),
  deny: networks({
    title: 'denied networks',
    description: 'Clients from these networks are answered with 403, also where `allow` has them.',
    examples: [['10.66.0.0/16']],
  }),
  basic_auth: Type.Optional(
    Type.Object(
      {
        realm: optional(
          Type.String({
            pattern: '^[ -~]{1,200}$',
            names: 'printable ASCII characters, at most 200',
            title: 'realm',
            description: 'What browsers show when they ask for the password.',
            default: 'headgate',
            examples: ['internal tools'],
          } satisfies Description),
        ),
        users: Type.Record(
          Type.String({ pattern: '^[^:\\u0000-\\u001f\\u007f]{1,255}$' }),
          text({ passwordHash: true }, { secret: true }),
          {
            additionalProperties: false,
            minProperties: 1,
            names: 'text without ":" and control characters, at most 255',
            title: 'users',
            description:
              'Names, each with the hash of a password, as `headgate password` makes it (scrypt, RFC 7914). Each worker looks at a few passwords a second that it has not seen before, so that guessing costs nobody else his answer.',
            examples: [
              {
                alice:
                  '$scrypt$ln=12,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$4wKsYyrdjFtrjHpJdYhNmJ7cpsn4jc8zXyNRxbnt8+0',
              },
            ],
          } satisfies Description,
        ),
      },
      {
        title: 'basic authentication',
        description:
          'Asks for a user name and a password (RFC 7617); without them the answer is 401.',
        additionalProperties: false,
        examples: [
          {
            users: {
              alice:
                '$scrypt$ln=12,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$4wKsYyrdjFtrjHpJdYhNmJ7cpsn4jc8zXyNRxbnt8+0',
            },
          },
        ],
      } satisfies Description,
    ),
  ),
  limits: Type.Optional(
    Type.Object(
      {
        body_size: Type.Optional(
          size(
            { from: '0', to: '8191GiB' },
            {
              title: 'body size',
              description: 'The longest body of a request; longer ones are answered with 413.',
              examples: ['10MiB'],
            },
          ),
        ),
        min_body_rate: Type.Optional(
          size(
            { from: '1', to: '1GiB' },
            {
              title: 'slowest body',
              description:
                'Bytes a second that a client must send of a request’s body on average over 5 s, after the first 5 s; a slower one is answered with 408, or cut off where the response has begun. Time in which the endpoint takes nothing does not count.',
              unit: 'bytes, KiB, MiB, GiB a second',
              examples: ['1KiB'],
            },
          ),
        ),
        rate: Type.Optional(rate),
        concurrent: Type.Optional(
          integer(
            { minimum: 1, maximum: 1_000_000 },
            {
              title: 'concurrent requests',
              description:
                'Requests of the route that are under way at one time, over all workers; more are answered with 503.',
              unit: 'requests',
              examples: [200],
            },
          ),
        ),
      },
      {
        title: 'limits of the route',
        description: 'How much a route serves. No limit unless said.',
        additionalProperties: false,
        examples: [{ body_size: '10MiB', rate: { requests: 10 }, concurrent: 200 }],
      } satisfies Description,
    ),
  ),
};
