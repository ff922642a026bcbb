import Type, { type TSchema } from 'typebox';
import { type Description, networks, text } from './schema-terms.js';

/** RFC 9110 §5.6.2. */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";

/** Names of header fields, in mappings. */
export const FIELD_NAME = Type.String({ pattern: `^${TOKEN}$` });
export const FIELD_NAMES = "letters, digits and ! # $ % & ' * + - . ^ _ ` | ~";

const PARAMETER_NAME = Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f]+$' });

const regex = Type.Object(
  {
    regex: text(
      { regularExpression: true },
      {
        title: 'regular expression',
        description:
          'In RE2 syntax, matched in linear time: no look-around, no back-references. The time is that of the text times the size of the expression, in which `x{1000}` counts as a thousand, and 100000 is the most. It may match anywhere; `^` and `$` say otherwise.',
        examples: ['^/v[0-9]+/', '(?i)mobile'],
      },
    ),
  },
  { additionalProperties: false },
);

/** One value or a list of them; one that fits is enough. */
function oneOrMore<Item extends TSchema>(item: Item, description: Description) {
  return Type.Optional(Type.Union([item, Type.Array(item, { minItems: 1 })], { ...description }));
}

const fieldValue = Type.Union([Type.Boolean(), Type.String(), regex]);

const VALUES = 'a text that is exactly this, `{ regex: … }`, `true` for any and `false` for none';

const pathPattern = Type.Union([text({ pathPattern: true }), regex]);

export const httpMatch = Type.Optional(
  Type.Object(
    {
      host: oneOrMore(text({ hostPattern: true }), {
        title: 'hosts',
        description:
          'The host that was asked for, without its port: a name, `*.example.com` for every name below `example.com`, `*` for any; one or a list.',
        examples: ['api.example.com', ['example.com', '*.example.com']],
      }),
      path: oneOrMore(pathPattern, {
        title: 'paths',
        description:
          'The path without the query: all of it (`/login`), its beginning (`/v1/*`, which is not `/v1`), or with wildcards: `*` within a part, `**` over any number of parts, also none; or `{ regex: … }`. It is compared after dot segments are resolved, slashes in a row made one, and `%XX` spelled the same way.',
        examples: ['/v1/*', ['/login', '/logout'], '/users/*/avatar', { regex: '^/v[12]/' }],
      }),
      methods: Type.Optional(
        Type.Array(Type.String({ pattern: `^${TOKEN}$`, names: 'a method, such as GET' }), {
          minItems: 1,
          title: 'methods',
          description: 'Methods, upper case as clients send them; GET is not HEAD.',
          examples: [['GET', 'HEAD']],
        } satisfies Description),
      ),
      headers: Type.Optional(
        Type.Record(FIELD_NAME, fieldValue, {
          additionalProperties: false,
          names: FIELD_NAMES,
          title: 'headers',
          description: `Fields that the request must have, each with ${VALUES}. Of a field that is there more than once, one value must fit.`,
          examples: [{ 'x-canary': '1', authorization: true, 'user-agent': { regex: 'bot' } }],
        } satisfies Description),
      ),
      query: Type.Optional(
        Type.Record(PARAMETER_NAME, fieldValue, {
          additionalProperties: false,
          names: 'text without control characters',
          title: 'query',
          description: `Parameters of the query, decoded, each with ${VALUES}.`,
          examples: [{ version: '2', debug: true }],
        } satisfies Description),
      ),
      cookies: Type.Optional(
        Type.Record(FIELD_NAME, fieldValue, {
          additionalProperties: false,
          names: FIELD_NAMES,
          title: 'cookies',
          description: `Cookies of the request, each with ${VALUES}.`,
          examples: [{ beta: '1' }],
        } satisfies Description),
      ),
      source: networks({
        title: 'sources',
        description: 'Networks of clients; see `trusted_proxies` for who the client is.',
        examples: [['10.0.0.0/8', '2001:db8::/32']],
      }),
      sni: oneOrMore(text({ serverName: true }), {
        title: 'server names',
        description: 'The name in the TLS ClientHello, as for TCP routes.',
        examples: ['api.example.com'],
      }),
      tls_subject: Type.Optional(
        Type.Union([Type.Boolean(), Type.String(), regex], {
          title: 'client certificate',
          description: `The subject of the client's certificate, as \`openssl x509 -subject -nameopt RFC2253\` writes it: ${VALUES}.`,
          examples: ['CN=alice,O=Example', { regex: 'O=Example$' }],
        } satisfies Description),
      ),
    },
    {
      title: 'match',
      description:
        'What a request must be for this route; all of it must fit. Without it, every request does.',
      additionalProperties: false,
      examples: [{ host: 'api.example.com', path: '/v1/*', methods: ['GET'] }],
    } satisfies Description,
  ),
);
