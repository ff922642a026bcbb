import Type from 'typebox';
import { type Description, integer, optional, text } from './schema-terms.js';

/** The path of a file; what is in it is checked by findings.ts, together with what belongs to it. */
function file(description: Description) {
  return Type.String({ minLength: 1, names: 'the path of a file', ...description });
}

/** With and without quotes. */
const TLS_VERSIONS = ['1.2', '1.3', 1.2, 1.3] as const;

/** What listeners and upstreams settle alike. */
const protocolKeys = {
  max_version: optional(
    Type.Enum([...TLS_VERSIONS], {
      title: 'highest version of TLS',
      description: 'The highest version that is spoken.',
      default: '1.3',
      examples: ['1.2'],
    } satisfies Description),
  ),
  kernel: optional(
    Type.Enum(['auto', 'require', 'off'], {
      title: 'kernel TLS',
      description:
        'Whether the kernel encrypts and decrypts once the handshake is done, so that bytes can be spliced: where it can (`auto`), or else the connection is ended (`require`), or never.',
      default: 'auto',
      examples: ['off'],
    } satisfies Description),
  ),
};

const minVersionDescription = {
  title: 'lowest version of TLS',
  examples: ['1.3'],
};

function cipherKeys(unless: string) {
  return {
    ciphers: Type.Optional(
      text(
        { cipherList: 'ciphers' },
        {
          title: 'ciphers of TLS 1.2',
          description: `Ciphers for TLS 1.2, an OpenSSL list (openssl-ciphers(1)); ${unless}.`,
          examples: ['ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256'],
        },
      ),
    ),
    ciphersuites: Type.Optional(
      text(
        { cipherList: 'ciphersuites' },
        {
          title: 'cipher suites of TLS 1.3',
          description: `Cipher suites for TLS 1.3, with colons between; ${unless}.`,
          examples: ['TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256'],
        },
      ),
    ),
    curves: Type.Optional(
      text(
        { cipherList: 'curves' },
        {
          title: 'curves',
          description: `Groups for the key exchange, with colons between, the favourite first; ${unless}.`,
          examples: ['X25519:prime256v1'],
        },
      ),
    ),
  };
}

const PROTOCOL = Type.String({ pattern: '^[!-~]{1,255}$', names: 'the name of a protocol' });

const PASSPHRASE =
  'A file whose first line is the passphrase of the key, where the key is encrypted.';

const certificate = Type.Object(
  {
    cert: file({
      title: 'certificate chain',
      description:
        'A file with the certificate of the server, then those that lead from it to the root, each signed by the next (PEM). A relative path begins at the working directory.',
      examples: ['/etc/headgate/example.com.pem'],
    }),
    key: Type.Optional(
      file({
        title: 'private key',
        description: 'A file with its private key (PEM); `cert` has it, too, unless said.',
        examples: ['/etc/headgate/example.com.key'],
      }),
    ),
    passphrase_file: Type.Optional(
      file({
        title: 'passphrase',
        description: PASSPHRASE,
        examples: ['/run/secrets/example.com.pass'],
      }),
    ),
    ocsp: Type.Optional(
      file({
        title: 'OCSP response',
        description:
          'A file with the OCSP response to staple (DER), such as `openssl ocsp -respout` writes. Read again when it changes; one that has expired, or is about another certificate, is not sent.',
        examples: ['/var/lib/headgate/example.com.ocsp'],
      }),
    ),
    names: Type.Optional(
      Type.Array(text({ serverName: true }), {
        minItems: 1,
        title: 'server names',
        description:
          'The names a client may ask for to be given this certificate; all that it is for unless said.',
        examples: [['example.com', '*.example.com']],
      } satisfies Description),
    ),
  },
  { additionalProperties: false },
);

const sessionTickets = Type.Object(
  {
    key_file: Type.Optional(
      file({
        title: 'ticket keys',
        description:
          'A file with 1 to 16 keys of 80 random bytes each, one behind the other, such as `openssl rand 80` writes: the first encrypts tickets, all decrypt them. Proxies with the same file resume each other’s sessions. Read again when it changes.',
        examples: ['/etc/headgate/tickets.key'],
      }),
    ),
    rotate: Type.Optional(
      text(
        { duration: { from: '1m', to: '168h' } },
        {
          unit: 'ms, s, m, h',
          title: 'ticket key rotation',
          description:
            'How often a new key encrypts tickets, made at random. The last two keys go on decrypting theirs.',
          examples: ['6h'],
        },
      ),
    ),
  },
  {
    additionalProperties: false,
    oneOf: [{ required: ['key_file'] }, { required: ['rotate'] }],
  },
);

const clientAuth = Type.Object(
  {
    mode: optional(
      Type.Enum(['request', 'require'], {
        title: 'mode',
        description:
          'Whether clients without a certificate are refused (`require`) or served, too (`request`). A certificate that is not trusted is refused either way.',
        default: 'require',
        examples: ['request'],
      } satisfies Description),
    ),
    ca: file({
      title: 'certificate authorities',
      description: 'A file with the certificates of those who may have signed, PEM.',
      examples: ['/etc/headgate/clients.pem'],
    }),
    verify_depth: integer(
      { minimum: 0, maximum: 100 },
      {
        title: 'verification depth',
        description: "Certificates between a client's and that of an authority, at most.",
        default: 3,
        unit: 'certificates',
        examples: [1],
      },
    ),
    crl: Type.Optional(
      file({
        title: 'revocation lists',
        description:
          'A file with certificate revocation lists, PEM; then there must be one of every authority in the chain. Read again when it changes; with one that is past its next update no client with a certificate gets in.',
        examples: ['/etc/headgate/clients.crl'],
      }),
    ),
  },
  {
    title: 'client certificates',
    description: 'Asks clients for certificates of their own (mutual TLS).',
    additionalProperties: false,
    examples: [{ ca: '/etc/headgate/clients.pem' }],
  } satisfies Description,
);

/** A listener's `tls`. */
export const listenerTls = Type.Object(
  {
    certificates: Type.Optional(
      Type.Array(certificate, {
        minItems: 1,
        title: 'certificates',
        description:
          'Chosen by the name the client asks for: the exact name, else the longest wildcard, else the one whose `names` have `*`, else the first one. Certificates for the same name with different kinds of keys (RSA, ECDSA) serve it together; of two of the same kind the first is used.',
        examples: [[{ cert: '/etc/headgate/a.pem', key: '/etc/headgate/a.key' }]],
      } satisfies Description),
    ),
    self_signed: Type.Optional(
      Type.Array(text({ subjectName: true }), {
        minItems: 1,
        title: 'development certificate',
        description:
          'Instead of certificates: one for these names and addresses that is made when the proxy starts, trusted by nobody. `localhost` stands for 127.0.0.1 and ::1, too.',
        examples: [['localhost'], ['app.test', '192.0.2.7']],
      } satisfies Description),
    ),
    preset: optional(
      Type.Enum(['modern', 'intermediate'], {
        title: 'preset',
        description:
          "Versions, ciphers and curves as Mozilla's Server Side TLS 6.0 recommends them: `modern` is TLS 1.3 only, `intermediate` reaches back to 2014. Other keys replace parts of it.",
        default: 'intermediate',
        examples: ['modern'],
      } satisfies Description),
    ),
    min_version: Type.Optional(
      Type.Enum([...TLS_VERSIONS], {
        ...minVersionDescription,
        description: "The lowest version that is spoken; the preset's unless said.",
      } satisfies Description),
    ),
    ...protocolKeys,
    ...cipherKeys("the preset's unless said"),
    alpn: optional(
      Type.Array(PROTOCOL, {
        title: 'application protocols',
        description:
          'Protocols that clients are offered (ALPN, RFC 7301), the favourite first. A client that offers none of them is refused; without any the extension is ignored.',
        default: [],
        examples: [['http/1.1'], ['postgresql']],
      } satisfies Description),
    ),
    session_tickets: optional(
      Type.Union([Type.Boolean(), sessionTickets], {
        title: 'session tickets',
        description:
          'Whether clients may resume sessions by tickets (RFC 8446 §2.2, RFC 5077). Keys are made at random and another one every 12 hours unless said.',
        default: true,
        examples: [false, { rotate: '6h' }, { key_file: '/etc/headgate/tickets.key' }],
      } satisfies Description),
    ),
    client_auth: Type.Optional(clientAuth),
  },
  {
    title: 'TLS',
    description:
      'Terminates TLS: what comes after the handshake is forwarded decrypted. Files are read at start and at each reload.',
    additionalProperties: false,
    oneOf: [{ required: ['certificates'] }, { required: ['self_signed'] }],
    examples: [{ certificates: [{ cert: '/etc/headgate/a.pem', key: '/etc/headgate/a.key' }] }],
  } satisfies Description,
);

/** An upstream's `tls`. */
export const upstreamTls = Type.Object(
  {
    verify: optional(
      Type.Boolean({
        title: 'verify the certificate',
        description:
          'Whether the certificate of an endpoint must be valid, trusted and for the expected name.',
        default: true,
        examples: [false],
      } satisfies Description),
    ),
    ca: Type.Optional(
      file({
        title: 'certificate authorities',
        description:
          'A file with the certificates that are trusted, PEM; those of the system unless said: the file SSL_CERT_FILE names, else the one of the distribution, else those Node comes with.',
        examples: ['/etc/headgate/ca.pem'],
      }),
    ),
    server_name: Type.Optional(
      text(
        { peerName: true },
        {
          title: 'server name',
          description:
            'The name asked for (SNI) and expected in the certificate; the name or address of each endpoint unless said.',
          examples: ['db.example.com'],
        },
      ),
    ),
    cert: Type.Optional(
      file({
        title: 'client certificate',
        description: 'A file with a certificate chain for endpoints that ask for one, PEM.',
        examples: ['/etc/headgate/proxy.pem'],
      }),
    ),
    key: Type.Optional(
      file({
        title: 'private key',
        description: 'A file with its private key (PEM); `cert` has it, too, unless said.',
        examples: ['/etc/headgate/proxy.key'],
      }),
    ),
    passphrase_file: Type.Optional(
      file({ title: 'passphrase', description: PASSPHRASE, examples: ['/run/secrets/proxy.pass'] }),
    ),
    min_version: optional(
      Type.Enum([...TLS_VERSIONS], {
        ...minVersionDescription,
        description: 'The lowest version that is spoken.',
        default: '1.2',
      } satisfies Description),
    ),
    ...protocolKeys,
    ...cipherKeys("OpenSSL's own unless said"),
    alpn: optional(
      Type.Array(PROTOCOL, {
        title: 'application protocols',
        description: 'Protocols that endpoints are offered (ALPN, RFC 7301), the favourite first.',
        default: [],
        examples: [['postgresql']],
      } satisfies Description),
    ),
  },
  {
    title: 'TLS',
    description:
      'Speaks TLS to the endpoints. Files are read at start and at each reload. Health checks use it, too, unless they say otherwise.',
    additionalProperties: false,
    examples: [{ ca: '/etc/headgate/ca.pem', server_name: 'db.example.com' }],
  } satisfies Description,
);
