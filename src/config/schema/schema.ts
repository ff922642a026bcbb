import Type, { type Static } from 'typebox';
import { httpProxying } from './http-schema.js';
import { requestTimeouts } from './http-timeout-schema.js';
import { admissionKeys, listenerSocket } from './listener-schema.js';
import { log } from './log-schema.js';
import {
  account,
  address,
  type Description,
  duration,
  optional,
  size,
  text,
} from './schema-terms.js';
import { acceptProxyProtocol, tcpForwarding } from './tcp-schema.js';
import { listenerTls } from './tls-schema.js';
import { upstream } from './upstream-schema.js';

/** A name ends up in log lines, in metric labels and in the lines printed at start. */
const NAME = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$' });
const NAMES = 'letters, digits, "_", "." and "-", at most 63, the first a letter or a digit';

const HOST_AND_PORT = '^([A-Za-z0-9_.-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]+)?$';

const timeouts = Type.Object(
  {
    connect: duration(
      { from: '1ms', to: '1h' },
      {
        title: 'connect timeout',
        description: 'How long an endpoint may take to accept a connection.',
        default: '5s',
        examples: ['500ms'],
      },
    ),
    head: duration(
      { from: '1ms', to: '1h' },
      {
        title: 'head timeout',
        description:
          'How long a client may take to send what routing needs: a PROXY header, a TLS ClientHello, the head of an HTTP request.',
        default: '10s',
        examples: ['3s'],
      },
    ),
    idle: duration(
      { from: '1ms', to: '168h' },
      {
        title: 'idle timeout',
        description:
          'How long a connection may stay without a byte in either direction; what a slow peer acknowledges of what it was sent has moved, too.',
        default: '5m',
        examples: ['1h'],
      },
    ),
    ...requestTimeouts,
    keep_alive: duration({ from: '1ms', to: '24h' }, {
      title: 'keep-alive timeout',
      description: 'How long an HTTP client may wait with its next request before it is let go.',
      default: '60s',
      examples: ['15s'],
    } satisfies Description),
    tls_handshake: duration(
      { from: '1ms', to: '1h' },
      {
        title: 'TLS handshake timeout',
        description: 'How long a TLS handshake may take, with a client or with an endpoint.',
        default: '10s',
        examples: ['3s'],
      },
    ),
    drain: duration(
      { from: '1ms', to: '24h' },
      {
        title: 'drain timeout',
        description: 'How long open connections may go on after the proxy was told to stop.',
        default: '30s',
        examples: ['2m'],
      },
    ),
  },
  {
    title: 'timeouts',
    description: 'How long to wait for what.',
    additionalProperties: false,
    default: {},
    examples: [{ connect: '2s', idle: '1h' }],
  } satisfies Description,
);

const limits = Type.Object(
  {
    connections: optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        title: 'most connections',
        description: 'Client connections at one time, over all workers of the process.',
        default: 20_000,
        unit: 'connections',
        examples: [5000],
      }),
    ),
    pipe_memory: size(
      { from: '1MiB', to: '64GiB' },
      {
        title: 'most pipe memory',
        description:
          'The most memory that the pipes of the process may hold, over all workers. Connections that get no pipe are copied instead of spliced. Linux allows a user without privileges 64 MiB of full-size pipes (`/proc/sys/fs/pipe-user-pages-soft`).',
        default: '64MiB',
        examples: ['256MiB'],
      },
    ),
    head_bytes: size(
      { from: '1KiB', to: '1MiB' },
      {
        title: 'longest head',
        description:
          'Bytes of the head of an HTTP request or response. A longer one of a client is answered with 431, one of an endpoint makes a 502. Changing it needs a restart.',
        default: '32KiB',
        examples: ['16KiB'],
      },
    ),
    headers: optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        title: 'most header fields',
        description:
          'Fields of the head of an HTTP request or response. Changing it needs a restart.',
        default: 100,
        unit: 'fields',
        examples: [50],
      }),
    ),
    cached_files: optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        title: 'most cached files',
        description:
          'Files that routes with `files` keep open between requests, over all workers of the process; 0 for none.',
        default: 1024,
        unit: 'files',
        examples: [10_000],
      }),
    ),
  },
  {
    title: 'limits',
    description: 'How much the process may use.',
    additionalProperties: false,
    default: {},
    examples: [{ connections: 5000, pipe_memory: '32MiB' }],
  } satisfies Description,
);

const admin = Type.Object(
  {
    bind: text(
      { address: 'listen' },
      {
        title: 'admin address',
        description:
          'Where the admin endpoint listens. Without a `token` it must be a loopback address or a Unix socket; the file of a Unix socket is for its owner alone.',
        examples: ['127.0.0.1:9901', 'unix:/run/headgate/admin.sock'],
      },
    ),
    token: Type.Optional(
      Type.String({
        minLength: 16,
        maxLength: 1024,
        pattern: '^[A-Za-z0-9._~+/-]+=*$',
        title: 'admin token',
        description:
          'What requests must bring as `Authorization: Bearer TOKEN`, all but those for `/healthz` and `/readyz`; such as `openssl rand -hex 32` makes. An environment variable keeps it out of the file.',
        names: 'at least 16 letters, digits and ". _ ~ + / -"',
        secret: true,
        examples: ['b1946ac92492d2347c6235b4d2611184'],
      } satisfies Description),
    ),
    hosts: optional(
      Type.Array(Type.String({ pattern: HOST_AND_PORT, names: 'a host name or address' }), {
        title: 'admin host names',
        description:
          'Names besides the bound address and `localhost` that requests may call the admin endpoint by, in the `Host` header; with a port, or with any. Others are refused: a web page could have made them (DNS rebinding).',
        default: [],
        examples: [['proxy1.internal', 'proxy1.internal:9901']],
      } satisfies Description),
    ),
  },
  {
    title: 'admin endpoint',
    description:
      'HTTP for operators and their tools: metrics, health, live connections, reload. Off unless it is here.',
    additionalProperties: false,
    examples: [{ bind: '127.0.0.1:9901' }],
  } satisfies Description,
);

const listener = Type.Object(
  {
    bind: Type.Union([address('bind'), Type.Array(address('bind'), { minItems: 1 })], {
      title: 'listening addresses',
      description:
        'One address or a list. `*:80` is every address, IPv4 and IPv6; `[::]:80` is IPv6 only; port 0 lets the kernel choose; `unix:@name` is an abstract socket. A socket that the service manager hands over (`LISTEN_FDS`) is used instead of binding where its address is the same; `fd:NAME` means one by its name (`FileDescriptorName=`).',
      examples: [
        '0.0.0.0:5432',
        ['127.0.0.1:5432', '[::1]:5432', 'unix:/run/pg.sock'],
        'fd:postgres',
      ],
    } satisfies Description),
    backlog: optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        title: 'listen backlog',
        description:
          'Connections the kernel keeps waiting to be accepted; it caps them at `net.core.somaxconn`.',
        default: 4096,
        unit: 'connections',
        examples: [512],
      }),
    ),
    ...admissionKeys,
    socket: listenerSocket,
    accept_proxy_protocol: Type.Optional(acceptProxyProtocol),
    tcp: Type.Optional(tcpForwarding),
    http: Type.Optional(httpProxying),
    tls: Type.Optional(listenerTls),
  },
  { additionalProperties: false, oneOf: [{ required: ['tcp'] }, { required: ['http'] }] },
);

/** The configuration file, as JSON Schema draft 2020-12 with a few keywords of its own (`keywords.ts`). */
export const configSchema = Type.Object(
  {
    workers: optional(
      Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1, maximum: 256 })], {
        title: 'workers',
        description: 'Threads that move data; `auto` is one for each core the process may use.',
        default: 'auto',
        unit: 'threads',
        examples: [4],
      } satisfies Description),
    ),
    pin_workers: optional(
      Type.Boolean({
        title: 'pin workers',
        description: 'Whether each worker is pinned to a core of its own (`sched_setaffinity(2)`).',
        default: false,
        examples: [true],
      }),
    ),
    io_uring: optional(
      Type.Boolean({
        title: 'io_uring',
        description:
          'Whether reads, writes and closes of many connections are made together, in one system call of `io_uring(7)`. Where the kernel has no such thing (before Linux 5.6) or forbids it (`kernel.io_uring_disabled`, a seccomp filter), each is made by itself, which takes more of the processor; `headgate doctor` says which it is.',
        default: true,
        examples: [false],
      }),
    ),
    user: account(
      'user',
      'Whom the process becomes once everything is bound, if it was started as root: a name in `/etc/passwd` or a number. That user must be able to read the files of the program and, for reloads, the configuration with all files it names: the log warns at the start where it is not. CAP_NET_BIND_SERVICE is kept, so that a reload can bind ports below 1024.',
      'www-data',
    ),
    group: account(
      'group',
      "The process's group from then on: a name in `/etc/group` or a number; that of `user` unless set. Supplementary groups are those of `user`, and none for a number without a name.",
      'www-data',
    ),
    no_new_privs: optional(
      Type.Boolean({
        title: 'no new privileges',
        description:
          "Whether no program that the process starts can gain privileges (PR_SET_NO_NEW_PRIVS). Linux knows that of threads: the control thread and all workers have it, the helper threads Node started before do not; they start no programs. A service manager's `NoNewPrivileges=` covers all of them.",
        default: false,
        examples: [true],
      }),
    ),
    log: optional(log),
    admin: Type.Optional(admin),
    timeouts: optional(timeouts),
    limits: optional(limits),
    listeners: Type.Record(NAME, listener, {
      title: 'listeners',
      description:
        'Where connections are accepted, by name, and what happens to them. Each has either `tcp` or `http`. At most 256; names that a reload leaves out count until a restart.',
      additionalProperties: false,
      minProperties: 1,
      names: NAMES,
      examples: [{ postgres: { bind: '0.0.0.0:5432', tcp: { upstream: 'pg' } } }],
    } satisfies Description),
    upstreams: optional(
      Type.Record(NAME, upstream, {
        title: 'upstreams',
        description:
          'Where connections go, by name. Each has either `endpoints` or `demo: true`. There is room for 4096 upstreams and endpoints together, those that a reload replaces and connections still use included; where names come to lead to more, the log says so and what is beyond is left out.',
        additionalProperties: false,
        names: NAMES,
        default: {},
        examples: [{ pg: { endpoints: ['10.0.0.1:5432', '10.0.0.2:5432'] } }],
      } satisfies Description),
    ),
  },
  {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Headgate configuration',
    description: 'The configuration file of Headgate, a zero-copy reverse proxy for Linux.',
    additionalProperties: false,
  },
);

/** A valid configuration file with the defaults filled in. */
export type ConfigFile = Static<typeof configSchema>;
