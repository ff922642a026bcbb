import Type from 'typebox';
import { type Description, optional } from './schema-terms.js';

const VERSIONS = ['v1', 'v2'];

/** What a PROXY header to an endpoint may say besides addresses, by the names of the file. */
const tlv = Type.Enum(['authority', 'alpn', 'ssl', 'unique_id']);

const withTlvs = Type.Object(
  {
    version: Type.Literal('v2', {
      title: 'version',
      description: 'Only version 2 has room for more than addresses.',
      examples: ['v2'],
    } satisfies Description),
    tlvs: optional(
      Type.Array(tlv, {
        uniqueItems: true,
        title: 'what else is told',
        description:
          'Fields after the addresses; each is left out where nothing is known. `authority`: the server name of the ClientHello, where the listener looks at that for its `routes`. `unique_id`: a name for the connection that nobody else has, also in the access line. `alpn` and `ssl`: the application protocol and the TLS of the client. What an accepted PROXY header says of any of them is passed on.',
        default: [],
        examples: [['authority', 'unique_id']],
      } satisfies Description),
    ),
    crc32c: optional(
      Type.Boolean({
        title: 'checksum',
        description: 'Whether the header ends with a CRC32C of itself.',
        default: false,
        examples: [true],
      } satisfies Description),
    ),
  },
  { additionalProperties: false },
);

/** An upstream's `send_proxy_protocol`. */
export const sendProxyProtocol = Type.Optional(
  Type.Union([Type.Enum(VERSIONS), withTlvs], {
    title: 'PROXY protocol to endpoints',
    description:
      'Begins each connection to an endpoint with a PROXY header, which says where the client is: of this version, or in detail.',
    examples: ['v2', { version: 'v2', tlvs: ['authority', 'unique_id'], crc32c: true }],
  } satisfies Description),
);

/** The same for its active check. */
export const checkProxyProtocol = Type.Optional(
  Type.Enum([...VERSIONS, 'off'], {
    title: 'PROXY protocol of checks',
    description:
      'Begins each check with a PROXY header of this version that speaks for Headgate itself (v1 UNKNOWN, v2 LOCAL). The version of `send_proxy_protocol` unless said.',
    examples: ['v2', 'off'],
  } satisfies Description),
);
