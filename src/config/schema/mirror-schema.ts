import Type from 'typebox';
import {
  type Description,
  duration,
  integer,
  optional,
  reference,
  size,
  text,
} from './schema-terms.js';

/** What all mirrors have. */
const mirrorKeys = {
  upstream: reference('upstreams', {
    title: 'upstream',
    description: 'The name of the upstream that gets the copy.',
    examples: ['shadow'],
  }),
  sample: optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      title: 'sample',
      description:
        'The part of the connections, or of the requests, that is mirrored; 0 is none of them.',
      default: 1,
      unit: 'share, from 0 to 1',
      examples: [0.1],
    } satisfies Description),
  ),
  concurrent: integer(
    { minimum: 1, maximum: 1_000_000 },
    {
      title: 'most at a time',
      description:
        'So many connections, or requests, of the listener are mirrored at a time, over all workers; those beyond it are not. Each needs a descriptor that counts in no other limit.',
      default: 1024,
      unit: 'connections or requests',
      examples: [200],
    },
  ),
  buffer: size(
    { from: '64KiB', to: '64MiB' },
    {
      title: 'buffer',
      description:
        'Capacity of the pipes in which bytes of one of them may wait for the shadow, out of `limits.pipe_memory`. When it is full the shadow is cut off.',
      default: '4MiB',
      examples: ['16MiB'],
    },
  ),
  timeout: duration(
    { from: '100ms', to: '10m' },
    {
      title: 'timeout',
      description:
        'How long the shadow may take, once the client’s part is over, for the rest of the bytes and for its answer.',
      default: '10s',
      examples: ['2s'],
    },
  ),
};

const mirrorName = reference('upstreams', {
  title: 'upstream',
  description: 'The name of the upstream that gets the copy.',
  examples: ['shadow'],
});

/** `mirror` of a listener's `tcp`. */
export const tcpMirror = Type.Optional(
  Type.Union([mirrorName, Type.Object(mirrorKeys, { additionalProperties: false })], {
    title: 'mirror',
    description:
      'Sends what clients send to another upstream as well, whose answers are dropped. Clients and the upstream never wait for it: a shadow that cannot keep up is cut off. It gets what the upstream gets, decrypted where TLS ends here.',
    examples: ['shadow', { upstream: 'shadow', sample: 0.1 }],
  } satisfies Description),
);

/** `mirror` of a listener's `http` and of its routes. */
export const httpMirror = Type.Optional(
  Type.Union(
    [
      mirrorName,
      Type.Object(
        {
          ...mirrorKeys,
          host: Type.Optional(
            Type.Union([Type.Enum(['preserve', 'upstream']), text({ template: 'host' })], {
              title: 'host',
              description:
                'The `Host` that the shadow is told, as for `host` of a route; what the route says unless set, with the shadow for the upstream.',
              examples: ['upstream', 'shadow.internal'],
            } satisfies Description),
          ),
        },
        { additionalProperties: false },
      ),
    ],
    {
      title: 'mirror',
      description:
        'Sends requests to another upstream as well, as the route forwards them, with `X-Mirrored: 1`; its responses are dropped. Clients and the upstream never wait for it: a shadow that cannot keep up is cut off. A route has this one, or that of the listener. Upgrades and `CONNECT` are not mirrored.',
      examples: ['shadow', { upstream: 'shadow', sample: 0.1, host: 'upstream' }],
    } satisfies Description,
  ),
);
