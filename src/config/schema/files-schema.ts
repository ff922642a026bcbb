import Type from 'typebox';
import { type Description, duration, optional, text } from './schema-terms.js';

const NAME = text(
  {},
  {
    pattern: '^(?!\\.{1,2}$)[^/\\u0000]{1,255}$',
    names: 'a file name, without "/"',
  },
);

/** RFC 9110 §5.5, in US-ASCII. */
const FIELD_VALUE = '^[!-~]([ -~]*[!-~])?$';

const cacheRule = Type.Object(
  {
    path: Type.Union(
      [text({ pathPattern: true }), Type.Array(text({ pathPattern: true }), { minItems: 1 })],
      {
        title: 'paths',
        description:
          'Paths of files below the root, as in `match.path`: `/assets/*` is everything below, `/**/*.js` every script; one or a list.',
        examples: ['/assets/*', ['/**/*.js', '/**/*.css']],
      } satisfies Description,
    ),
    value: Type.Optional(
      Type.String({
        pattern: FIELD_VALUE,
        names: 'the value of a header field',
        title: 'value',
        description: 'The value of `Cache-Control`.',
        examples: ['public, max-age=31536000, immutable', 'no-cache'],
      } satisfies Description),
    ),
    max_age: Type.Optional(
      duration(
        { from: '0s', to: '99999h' },
        {
          title: 'max age',
          description:
            'Short for a value of `max-age=SECONDS`: how long caches may use the file without asking.',
          examples: ['1h', '24h'],
        },
      ),
    ),
  },
  { additionalProperties: false, oneOf: [{ required: ['value'] }, { required: ['max_age'] }] },
);

/** A route that serves files. */
export const fileServing = Type.Optional(
  Type.Object(
    {
      root: text(
        { directory: true },
        {
          title: 'root',
          description:
            'The directory whose files are served; a relative path begins at the working directory. Nothing outside of it is, whatever the path of a request and wherever symlinks lead. It may itself be a symlink, and is looked up anew every `revalidate`.',
          examples: ['./public', '/srv/www/current'],
        },
      ),
      index: optional(
        Type.Union([NAME, Type.Array(NAME)], {
          title: 'index',
          description:
            'Names of the file that is sent for a directory, one or a list in order; `[]` for none.',
          default: 'index.html',
          examples: [['index.html', 'index.htm']],
        } satisfies Description),
      ),
      try_files: optional(
        Type.Array(text({ candidate: true }), {
          minItems: 1,
          maxItems: 16,
          title: 'try files',
          description:
            'Where a file is looked for, in order, the first that is there is sent. `$path` is the path of the request, without the prefix that is stripped. One that ends in a slash means a directory and its index. A single-page app ends the list with its page.',
          default: ['$path', '$path/'],
          examples: [
            ['$path', '$path/', '/index.html'],
            ['$path', '$path.html'],
          ],
        } satisfies Description),
      ),
      not_found: Type.Optional(
        text(
          { path: true },
          {
            title: 'not found',
            description:
              'The file below the root that is sent, with status 404, where there is none.',
            examples: ['/404.html'],
          },
        ),
      ),
      listing: optional(
        Type.Boolean({
          title: 'listing',
          description:
            'Whether a directory without an index shows what is in it, as HTML or, for those who prefer it, as JSON.',
          default: false,
          examples: [true],
        } satisfies Description),
      ),
      dotfiles: optional(
        Type.Boolean({
          title: 'dotfiles',
          description:
            'Whether names that begin with a dot are served, such as `/.well-known/`; `.git` and `.env` are such names, too.',
          default: false,
          examples: [true],
        } satisfies Description),
      ),
      precompressed: optional(
        Type.Array(Type.Enum(['br', 'zstd', 'gzip']), {
          uniqueItems: true,
          title: 'precompressed',
          description:
            'Encodings in which files may lie beside the plain ones, as `app.js.br`, `app.js.zst` and `app.js.gz`, in the order of preference. A client gets one that it accepts.',
          default: [],
          examples: [['br', 'zstd', 'gzip']],
        } satisfies Description),
      ),
      etag: optional(
        Type.Enum(['strong', 'weak', 'off'], {
          title: 'entity tags',
          description:
            'The kind of `ETag`, made of the length of a file and of the time it was written. Of a file that was written in the last two seconds it is a weak one in any case.',
          default: 'strong',
          examples: ['weak'],
        } satisfies Description),
      ),
      cache_control: optional(
        Type.Array(cacheRule, {
          title: 'cache control',
          description: '`Cache-Control` by path; the first entry that fits counts.',
          default: [],
          examples: [
            [
              { path: '/assets/*', value: 'public, max-age=31536000, immutable' },
              { path: '/*', max_age: '1h' },
            ],
          ],
        } satisfies Description),
      ),
      content_types: optional(
        Type.Record(
          Type.String({ pattern: '^[0-9a-z][0-9a-z_+-]{0,31}$' }),
          Type.String({ pattern: FIELD_VALUE, names: 'a media type' }),
          {
            additionalProperties: false,
            names: 'an extension in lower case, without the dot',
            title: 'content types',
            description:
              'Media types by extension, before those of the IANA registry; text has a charset there.',
            default: {},
            examples: [
              { webmanifest: 'application/manifest+json', log: 'text/plain; charset=utf-8' },
            ],
          } satisfies Description,
        ),
      ),
      revalidate: duration(
        { from: '0s', to: '24h' },
        {
          title: 'revalidate',
          description:
            'How long an open file is sent without looking whether its name means another one by now. What is written into an open file is noticed at once.',
          default: '1s',
          examples: ['0s', '1m'],
        },
      ),
    },
    {
      title: 'files',
      description: 'Serves files.',
      additionalProperties: false,
      examples: [{ root: './public', index: 'index.html' }],
    } satisfies Description,
  ),
);
