import Type from 'typebox';
import { type Description, networks } from './schema-terms.js';

/** Who may connect to a listener, and how many at a time. */
export const admissionKeys = {
  allow: networks({
    title: 'allowed networks',
    description:
      'Only clients from these networks are served; others are reset. Clients of a Unix socket have no address: who may connect there is said by its file.',
    examples: [['10.0.0.0/8', '2001:db8::/32', '192.0.2.7']],
  }),
  deny: networks({
    title: 'denied networks',
    description: 'Clients from these networks are reset, also where `allow` has them.',
    examples: [['10.66.0.0/16']],
  }),
  limits: Type.Optional(
    Type.Object(
      {
        connections: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 1_000_000,
            title: 'most connections of the listener',
            description:
              'At this many connections, over all workers, the listener stops accepting: new ones wait in the kernel, at most `backlog` of them. No limit but that of the process unless set.',
            unit: 'connections',
            examples: [500],
          } satisfies Description),
        ),
        connections_per_source: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 1_000_000,
            title: 'most connections of one client',
            description:
              'Connections of one IPv4 address, or of one IPv6 /64, over all workers; more are reset. Counted in fixed memory: with very many sources connected, one may be refused a little early, never late.',
            unit: 'connections',
            examples: [20],
          } satisfies Description),
        ),
      },
      {
        title: 'limits of the listener',
        description: 'How many connections the listener serves at a time.',
        additionalProperties: false,
        examples: [{ connections: 500, connections_per_source: 20 }],
      } satisfies Description,
    ),
  ),
};
