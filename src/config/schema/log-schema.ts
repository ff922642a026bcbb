import Type from 'typebox';
import { type Description, optional, text } from './schema-terms.js';

const accessFile = Type.Object(
  {
    file: text(
      { file: 'appended' },
      {
        title: 'access log file',
        description:
          'Where lines are appended; made with mode 0640 if it is not there. Opened anew on a reload and on SIGUSR1. `/dev/stdout` is the standard output.',
        examples: ['/var/log/headgate/access.log'],
      },
    ),
    format: optional(
      Type.Enum(['json', 'combined'], {
        title: 'access log format',
        description:
          '`json` is one object a line, for connections and requests; `combined` is the line that Apache and nginx write for each HTTP request. Connections of `tcp` listeners have no such line: with `combined` theirs stay in the log, as JSON.',
        default: 'json',
        examples: ['combined'],
      }),
    ),
  },
  { additionalProperties: false },
);

export const log = Type.Object(
  {
    level: optional(
      Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
        title: 'log level',
        description: 'The least important messages that are logged.',
        default: 'info',
        examples: ['debug'],
      }),
    ),
    access: optional(
      Type.Union([Type.Boolean(), accessFile], {
        title: 'access log',
        description:
          'Whether there is a line for each connection, or HTTP request, when it ends. `true`: a JSON line in the log, of level `info`: with `level: warn` there are none; a mapping: in a file of its own, whatever the level.',
        default: true,
        examples: [false, { file: '/var/log/headgate/access.log', format: 'combined' }],
      } satisfies Description),
    ),
    format: optional(
      Type.Enum(['auto', 'json', 'pretty'], {
        title: 'log format',
        description:
          '`json` is one object a line; `pretty` is for people; `auto` is `pretty` on a terminal.',
        default: 'auto',
        examples: ['json'],
      }),
    ),
  },
  {
    title: 'logging',
    description: 'What is logged, and how.',
    additionalProperties: false,
    default: {},
    examples: [{ level: 'warn', access: false }],
  } satisfies Description,
);
