import Type from 'typebox';
import { httpActionNames, httpActions } from './http-action-schema.js';
import { rewriteKey, stickyKey } from './http-answer-schema.js';
import { FIELD_NAME, FIELD_NAMES, httpMatch } from './http-match-schema.js';
import { protectionKeys } from './http-protection-schema.js';
import { routeTimeouts } from './http-timeout-schema.js';
import { httpMirror } from './mirror-schema.js';
import { type Description, integer, optional, text } from './schema-terms.js';

function headerEdits(of: 'request' | 'response', example: string) {
  const values = { additionalProperties: false, names: FIELD_NAMES };
  return Type.Optional(
    Type.Object(
      {
        set: Type.Optional(
          Type.Record(FIELD_NAME, text({ template: of }), {
            ...values,
            title: 'set',
            description:
              'Fields that are there once with this value, whatever was there before. Variables are `$client_ip` and others; `$$` is a dollar sign.',
            examples: [{ [example]: '$client_ip' }],
          } satisfies Description),
        ),
        add: Type.Optional(
          Type.Record(FIELD_NAME, text({ template: of }), {
            ...values,
            title: 'add',
            description: 'Fields that are added to those that are there.',
            examples: [{ [example]: 'prod' }],
          } satisfies Description),
        ),
        remove: Type.Optional(
          Type.Array(text({ fieldName: 'removable' }), {
            minItems: 1,
            title: 'remove',
            description:
              'Fields that are taken out, by name; `x-internal-*` is every name that begins so.',
            examples: [[of === 'request' ? 'cookie' : 'server']],
          } satisfies Description),
        ),
      },
      {
        title: `${of} headers`,
        description: `Changes fields of ${of}s: first \`remove\`, then \`set\` and \`add\`. What says where a message ends and what is between two hops cannot be changed.`,
        additionalProperties: false,
        examples: [{ set: { [example]: 'prod' } }],
      } satisfies Description,
    ),
  );
}

/** One route of `http.routes`. */
export const httpRoute = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$',
        names: 'letters, digits, "_", "." and "-", at most 63, the first a letter or a digit',
        title: 'route name',
        description:
          'What log lines and metrics call the route; its position, from 0, unless said.',
        examples: ['api-v1'],
      } satisfies Description),
    ),
    match: httpMatch,
    ...httpActions,
    request_headers: headerEdits('request', 'x-env'),
    response_headers: headerEdits('response', 'x-served-by'),
    strip_prefix: Type.Optional(
      text(
        { path: true },
        {
          title: 'strip prefix',
          description:
            'Taken off the path before the request is forwarded, where the path begins with these whole parts: `/v1` off `/v1/users`, not off `/v10`.',
          examples: ['/v1'],
        },
      ),
    ),
    replace_prefix: Type.Optional(
      Type.Object(
        {
          from: text(
            { path: true },
            {
              title: 'from',
              description: 'The beginning of the path that is replaced, whole parts of it.',
              examples: ['/v1'],
            },
          ),
          to: text(
            { path: true },
            { title: 'to', description: 'What is put in its place.', examples: ['/api/2024'] },
          ),
        },
        {
          title: 'replace prefix',
          description: 'Replaces the beginning of the path before the request is forwarded.',
          additionalProperties: false,
          examples: [{ from: '/v1', to: '/api/2024' }],
        } satisfies Description,
      ),
    ),
    host: optional(
      Type.Union([Type.Enum(['preserve', 'upstream']), text({ template: 'host' })], {
        title: 'host',
        description:
          'The `Host` that the upstream is told: `preserve` for the one the client asked for, `upstream` for what the first endpoint of the upstream is called, or a text, in which variables may stand.',
        default: 'preserve',
        examples: ['upstream', 'app.internal'],
      } satisfies Description),
    ),
    retries: integer(
      { minimum: 0, maximum: 10 },
      {
        title: 'retries',
        description:
          'How often a request that failed before its answer began is tried at another endpoint, if its method is idempotent and its body was not consumed.',
        default: 1,
        unit: 'times',
        examples: [2],
      },
    ),
    ...routeTimeouts,
    mirror: httpMirror,
    ...rewriteKey,
    ...stickyKey,
    ...protectionKeys,
  },
  {
    additionalProperties: false,
    oneOf: httpActionNames.map((name) => ({ required: [name] })),
  },
);
