import Type from 'typebox';
import { fileServing } from './files-schema.js';
import { FIELD_NAME, FIELD_NAMES } from './http-match-schema.js';
import { type Description, integer, networks, optional, reference, text } from './schema-terms.js';

const status = {
  minimum: 200,
  maximum: 599,
};

const redirectTarget = text(
  { template: 'response' },
  {
    title: 'redirect target',
    description:
      'What the `Location` field says; variables may stand in it. `$uri` is the path with the query, so that both are kept. A host has to be said where it matters; a path at the beginning never becomes one, as its slashes are made one.',
    examples: ['/new', 'https://www.example.com$uri'],
  },
);

/** What a route does with its requests; it has exactly one of these. */
export const httpActions = {
  upstream: Type.Optional(
    reference('upstreams', {
      title: 'upstream',
      description: 'The name of the upstream that requests are forwarded to.',
      examples: ['api'],
    }),
  ),
  split: Type.Optional(
    Type.Array(
      Type.Object(
        {
          upstream: reference('upstreams', {
            title: 'upstream',
            description: 'The name of an upstream.',
            examples: ['api-canary'],
          }),
          weight: integer(
            { minimum: 0, maximum: 1_000_000 },
            {
              title: 'weight',
              description: 'Its share of the requests, relative to the others; 0 is none.',
              default: 1,
              unit: 'shares',
              examples: [5],
            },
          ),
        },
        { additionalProperties: false },
      ),
      {
        minItems: 2,
        title: 'split',
        description: 'Forwards requests to several upstreams by weight, as for a canary release.',
        examples: [
          [
            { upstream: 'api', weight: 95 },
            { upstream: 'api-canary', weight: 5 },
          ],
        ],
      } satisfies Description,
    ),
  ),
  forward: Type.Optional(
    Type.Object(
      {
        allow: Type.Array(text({ forwardTarget: true }), {
          minItems: 1,
          title: 'allow',
          description:
            'Where clients may go: names, each with its port, and networks, with a port or `*`. A whole name is looked up all the time, as endpoints are. `*.internal:443` is every name that ends so, at whatever depth, looked up when it is asked for. Networks are for targets that clients write as addresses; what a name resolves to is not compared with them.',
          examples: [
            ['api.example.com:443', '*.internal:443', '10.0.0.0/8:80', '[2001:db8::/32]:*'],
          ],
        } satisfies Description),
        resolves_to: networks({
          title: 'resolves to',
          description:
            'Where names may lead that a wildcard allows; other addresses are not connected to, whatever the name (502). Unless set, the public Internet: not this machine, nor link-local, private, shared or multicast networks.',
          examples: [['10.0.0.0/8']],
        }),
      },
      {
        title: 'forward',
        description:
          'Makes the listener a forward proxy, as a gate to other networks: `CONNECT` becomes a tunnel, and a request for `http://host/path` goes to that host. Every other target is answered with 403.',
        additionalProperties: false,
        examples: [{ allow: ['api.example.com:443', '10.0.0.0/8:*'] }],
      } satisfies Description,
    ),
  ),
  files: fileServing,
  redirect: Type.Optional(
    Type.Union(
      [
        text({ template: 'response' }),
        Type.Object(
          {
            to: redirectTarget,
            status: optional(
              Type.Enum([301, 302, 303, 307, 308], {
                title: 'redirect status',
                description:
                  '301 and 308 are for good and are cached; 307 and 308 keep method and body.',
                default: 302,
                examples: [308],
              } satisfies Description),
            ),
          },
          { additionalProperties: false },
        ),
      ],
      {
        title: 'redirect',
        description: 'Sends the client elsewhere: a target, with status 302, or both.',
        examples: ['/new', { to: 'https://www.example.com$uri', status: 308 }],
      } satisfies Description,
    ),
  ),
  respond: Type.Optional(
    Type.Object(
      {
        status: integer(status, {
          title: 'status',
          description: 'The status code of the answer.',
          default: 200,
          unit: 'status code',
          examples: [404],
        }),
        body: optional(
          Type.String({
            maxLength: 65_536,
            title: 'body',
            description: 'The content of the answer, as it stands: variables mean nothing here.',
            default: '',
            examples: ['no route\n'],
          } satisfies Description),
        ),
        headers: Type.Optional(
          Type.Record(FIELD_NAME, text({ template: 'response' }), {
            additionalProperties: false,
            names: FIELD_NAMES,
            title: 'headers',
            description:
              'Fields of the answer; `content-type` is `text/plain; charset=utf-8` unless said.',
            examples: [{ 'content-type': 'application/json' }],
          } satisfies Description),
        ),
      },
      {
        title: 'respond',
        description: 'Answers at once.',
        additionalProperties: false,
        examples: [{ status: 404, body: 'no route\n' }],
      } satisfies Description,
    ),
  ),
};

export const httpActionNames = Object.keys(httpActions);
