import Type from 'typebox';
import { capture } from './capture-schema.js';
import { errorPages, httpsKeys } from './http-answer-schema.js';
import { httpRoute } from './http-route-schema.js';
import { httpMirror } from './mirror-schema.js';
import { type Description, networks, optional, reference } from './schema-terms.js';

/** A listener's `http`. */
export const httpProxying = Type.Object(
  {
    upstream: Type.Optional(
      reference('upstreams', {
        title: 'upstream',
        description: 'The name of the upstream that all requests are forwarded to.',
        examples: ['api'],
      }),
    ),
    routes: Type.Optional(
      Type.Array(httpRoute, {
        minItems: 1,
        title: 'routes',
        description:
          'What happens to which requests. The first one that fits is taken; where none does, the answer is 404.',
        examples: [
          [
            { match: { path: '/api/*' }, upstream: 'api' },
            { respond: { status: 404, body: 'no route\n' } },
          ],
        ],
      } satisfies Description),
    ),
    trusted_proxies: networks({
      title: 'trusted proxies',
      description:
        'Networks of proxies in front whose `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host` and `Forwarded` are believed and passed on: the client is the last address in them that is not one of these. From others these fields are taken out, and `X-Forwarded-Port` and `X-Real-IP` with them.',
      examples: [['10.0.0.0/8', '2001:db8::/32']],
    }),
    forwarded: optional(
      Type.Enum(['x_forwarded', 'rfc7239', 'both', 'off'], {
        title: 'forwarding fields',
        description:
          'What upstreams are told of the client: `X-Forwarded-For`, `-Proto` and `-Host`, the `Forwarded` of RFC 7239, both, or nothing.',
        default: 'x_forwarded',
        examples: ['both'],
      } satisfies Description),
    ),
    request_id: optional(
      Type.Enum(['keep', 'make', 'off'], {
        title: 'request id',
        description:
          '`X-Request-Id` of requests to upstreams: the one of the client is kept where there is one, or always a new one, or none.',
        default: 'keep',
        examples: ['make'],
      } satisfies Description),
    ),
    mirror: httpMirror,
    capture,
    error_pages: errorPages,
    ...httpsKeys,
    date: optional(
      Type.Boolean({
        title: 'date',
        description:
          'Whether a response without a `Date` gets one, as RFC 9110 §6.6.1 wants of whoever has a clock.',
        default: true,
        examples: [false],
      } satisfies Description),
    ),
    via: optional(
      Type.Union(
        [
          Type.Literal(false),
          Type.String({
            pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
            names: 'a name without spaces',
          }),
        ],
        {
          title: 'via',
          description:
            'What this proxy calls itself in the `Via` of requests, and of the responses of routes with `forward` (RFC 9110 §7.6.3); `false` leaves it out.',
          default: 'headgate',
          examples: ['edge-1', false],
        } satisfies Description,
      ),
    ),
  },
  {
    title: 'HTTP',
    description: 'Serves HTTP/1.1: requests go to one upstream or by `routes`.',
    additionalProperties: false,
    oneOf: [{ required: ['upstream'] }, { required: ['routes'] }],
    examples: [{ upstream: 'api' }],
  } satisfies Description,
);
