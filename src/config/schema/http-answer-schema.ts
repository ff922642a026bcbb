import Type from 'typebox';
import { type Description, duration, optional } from './schema-terms.js';

const HOST = '^[A-Za-z0-9_.-]{1,253}$';

/** How responses of upstreams are made to fit what clients see. */
export const rewriteKey = {
  rewrite: Type.Optional(
    Type.Object(
      {
        location: optional(
          Type.Boolean({
            title: 'rewrite Location',
            description:
              'Whether `Location` fields that name the upstream by the Host it was told, or a path as it was told, are made to name what the client asked for. One that sends a client of plain HTTP to HTTPS at its own host still does.',
            default: false,
            examples: [true],
          } satisfies Description),
        ),
        cookie_domains: optional(
          Type.Record(
            Type.String({ pattern: HOST }),
            Type.String({ pattern: '^[A-Za-z0-9_.-]{0,253}$', names: 'a domain, or nothing' }),
            {
              additionalProperties: false,
              names: 'a domain',
              title: 'cookie domains',
              description:
                'What `Domain` of cookies becomes, by what it is; an empty text takes it out, so that the cookie is for the host alone.',
              default: {},
              examples: [{ 'app.internal': 'example.com' }],
            } satisfies Description,
          ),
        ),
      },
      {
        title: 'rewrite',
        description: 'Changes in responses of the upstream what only makes sense behind the proxy.',
        additionalProperties: false,
        examples: [{ location: true, cookie_domains: { 'app.internal': '' } }],
      } satisfies Description,
    ),
  ),
};

/** Keeps clients at their endpoints. */
export const stickyKey = {
  sticky: Type.Optional(
    Type.Object(
      {
        cookie: Type.String({
          pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
          names: 'the name of a cookie',
          title: 'cookie',
          description:
            'Its name. The upstreams of the route must be balanced by it: `balance: { hash: "cookie:NAME" }`.',
          examples: ['gate'],
        } satisfies Description),
        max_age: Type.Optional(
          duration(
            { from: '1s', to: '99999h' },
            {
              title: 'max age',
              description:
                'How long browsers keep it, in whole seconds; while they run unless said.',
              examples: ['24h'],
            },
          ),
        ),
      },
      {
        title: 'sticky sessions',
        description:
          'Gives clients a cookie by which all their requests come to the same endpoint for as long as that is there.',
        additionalProperties: false,
        examples: [{ cookie: 'gate', max_age: '24h' }],
      } satisfies Description,
    ),
  ),
};

/** What is said instead of Headgate's own words. */
export const errorPages = optional(
  Type.Array(
    Type.Object(
      {
        status: Type.Unsafe<string | number>({
          type: ['integer', 'string'],
          statuses: 'http',
          title: 'status',
          description: 'Status codes that are answered so: codes and ranges.',
          examples: [404, '500-599', '502, 504'],
        } satisfies Description),
        html: Type.Optional(
          Type.String({
            maxLength: 65_536,
            title: 'HTML',
            description: 'A whole page, for those who do not ask for JSON.',
            examples: ['<!doctype html><title>Back soon</title><h1>Back soon</h1>'],
          } satisfies Description),
        ),
        json: Type.Optional(
          Type.String({
            maxLength: 65_536,
            title: 'JSON',
            description: 'A whole document, for those who prefer JSON (`Accept`).',
            examples: ['{"error":"back soon"}'],
          } satisfies Description),
        ),
      },
      { additionalProperties: false },
    ),
    {
      title: 'error pages',
      description:
        'What is said when Headgate itself answers with an error: no route, no endpoint, a limit. The first entry with the status counts. Answers of upstreams stay as they are.',
      default: [],
      examples: [
        [{ status: '502-504', html: '<h1>Back soon</h1>', json: '{"error":"back soon"}' }],
      ],
    } satisfies Description,
  ),
);

/** What a whole listener says about HTTPS. */
export const httpsKeys = {
  https_redirect: optional(
    Type.Union(
      [
        Type.Boolean(),
        Type.Object(
          {
            port: optional(
              Type.Integer({
                minimum: 1,
                maximum: 65_535,
                title: 'port',
                description: 'The port of HTTPS.',
                default: 443,
                unit: 'port',
                examples: [8443],
              }),
            ),
            status: optional(
              Type.Enum([301, 302, 307, 308], {
                title: 'status',
                description:
                  '301 and 308 are for good and are cached; 307 and 308 keep the method.',
                default: 308,
                examples: [301],
              } satisfies Description),
            ),
          },
          { additionalProperties: false },
        ),
      ],
      {
        title: 'redirect to HTTPS',
        description:
          'Answers requests that came by plain HTTP, here or at a trusted proxy, with a redirect to the same host and path by HTTPS, whatever the routes say. One of HTTP/1.0 without a Host can be sent nowhere and is answered with 400.',
        default: false,
        examples: [true, { port: 8443 }],
      } satisfies Description,
    ),
  ),
  hsts: Type.Optional(
    Type.Object(
      {
        max_age: duration(
          { from: '1s', to: '99999h' },
          {
            title: 'max age',
            description: 'How long browsers remember it, in whole seconds.',
            default: '8760h',
            examples: ['1h'],
          },
        ),
        include_subdomains: optional(
          Type.Boolean({
            title: 'subdomains',
            description: 'Whether it holds for all names below the host, too.',
            default: false,
            examples: [true],
          } satisfies Description),
        ),
        preload: optional(
          Type.Boolean({
            title: 'preload',
            description: 'Whether browsers may be shipped with it; hard to take back.',
            default: false,
            examples: [true],
          } satisfies Description),
        ),
      },
      {
        title: 'HSTS',
        description:
          'Tells browsers to come by HTTPS only: `Strict-Transport-Security` (RFC 6797) in all answers to requests that did, in the place of what upstreams say.',
        additionalProperties: false,
        examples: [{ max_age: '8760h', include_subdomains: true }],
      } satisfies Description,
    ),
  ),
};
