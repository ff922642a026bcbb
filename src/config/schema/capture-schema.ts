import Type from 'typebox';
import { type Description, optional, size, text } from './schema-terms.js';

const rotate = optional(
  Type.Object(
    {
      max_total: size(
        { from: '1MiB', to: '65536GiB' },
        {
          title: 'most on the disk',
          description:
            'What all captures of the directory may take up, as `du` counts it, at any time. For more, the oldest flows that have ended are deleted; where there are none, what is being captured is cut.',
          default: '1GiB',
          examples: ['100MiB', '50GiB'],
        },
      ),
      max_age: Type.Optional(
        text(
          { duration: { from: '1s', to: '87600h' } },
          {
            unit: 'ms, s, m, h',
            title: 'oldest',
            description: 'Flows that ended so long ago are deleted. However old, unless set.',
            examples: ['24h', '168h'],
          },
        ),
      ),
      max_flows: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 1_000_000,
          title: 'most flows',
          description:
            'Flows in the directory, each of which is up to three files. Any number unless set.',
          unit: 'flows',
          examples: [1000],
        } satisfies Description),
      ),
    },
    {
      title: 'rotation',
      description: 'What the directory may hold. Flows are deleted whole, the oldest first.',
      additionalProperties: false,
      default: {},
      examples: [{ max_total: '10GiB', max_age: '168h' }],
    } satisfies Description,
  ),
);

/** A listener's `capture`. */
export const capture = Type.Optional(
  Type.Object(
    {
      directory: Type.String({
        pattern: '^[^\\0]+$',
        names: 'a path',
        title: 'directory',
        description:
          'Where captures are written: three files a flow, readable by the user Headgate runs as and nobody else. Made if it is not there. Listeners may share one, with the same `rotate`.',
        examples: ['/var/lib/headgate/capture', './capture'],
      } satisfies Description),
      directions: optional(
        Type.Enum(['both', 'client', 'upstream'], {
          title: 'directions',
          description:
            'What is captured: what clients send (`client`), what they are sent (`upstream`), or both.',
          default: 'both',
          examples: ['client'],
        } satisfies Description),
      ),
      sample: optional(
        Type.Number({
          minimum: 0.000_001,
          maximum: 1,
          title: 'sample',
          description: 'The part of the connections that is captured, chosen at random.',
          default: 1,
          unit: 'a fraction',
          examples: [0.01],
        } satisfies Description),
      ),
      max_bytes: Type.Optional(
        Type.Unsafe<string | number>({
          type: ['integer', 'string'],
          size: { from: '1', to: '65536GiB' },
          unit: 'bytes, KiB, MiB, GiB',
          title: 'most of one connection',
          description:
            'Bytes of one connection that are captured, both directions together; what comes after is marked as missing. No limit but that of the directory unless set.',
          examples: ['1MiB'],
        } satisfies Description),
      ),
      rotate,
    },
    {
      title: 'capture',
      description:
        'Writes what passes to disk, in the clear where TLS ends here. It never slows a connection: where the disk does not keep up, or is full, the capture is marked incomplete. See docs/capture.md.',
      additionalProperties: false,
      examples: [{ directory: './capture', rotate: { max_total: '10GiB' } }],
    } satisfies Description,
  ),
);
