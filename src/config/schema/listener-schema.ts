import Type from 'typebox';
import { account, type Description, duration, networks, optional, text } from './schema-terms.js';

/** Who may connect to a listener, and how many at a time. */
export const admissionKeys = {
  allow: networks({
    title: 'allowed networks',
    description:
      'Only clients from these networks are served; others are reset. Clients of a Unix socket have no address: who may connect there is said by its file.',
    examples: [['10.0.0.0/8', '2001:db8::/32', '192.0.2.7']],
  }),
  deny: networks({
    title: 'denied networks',
    description: 'Clients from these networks are reset, also where `allow` has them.',
    examples: [['10.66.0.0/16']],
  }),
  limits: Type.Optional(
    Type.Object(
      {
        connections: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 1_000_000,
            title: 'most connections of the listener',
            description:
              'At this many connections, over all workers, the listener stops accepting: new ones wait in the kernel, at most `backlog` of them. No limit but that of the process unless set.',
            unit: 'connections',
            examples: [500],
          } satisfies Description),
        ),
        connections_per_source: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 1_000_000,
            title: 'most connections of one client',
            description:
              'Connections of one IPv4 address, or of one IPv6 /64, over all workers; more are reset. Counted in fixed memory: with very many sources connected, one may be refused a little early, never late.',
            unit: 'connections',
            examples: [20],
          } satisfies Description),
        ),
      },
      {
        title: 'limits of the listener',
        description: 'How many connections the listener serves at a time.',
        additionalProperties: false,
        examples: [{ connections: 500, connections_per_source: 20 }],
      } satisfies Description,
    ),
  ),
};

const keepalive = optional(
  Type.Union(
    [
      Type.Literal('off'),
      Type.Object(
        {
          idle: duration(
            { from: '1s', to: '9h' },
            {
              title: 'idle before the first probe',
              description: 'Silence before the first probe (TCP_KEEPIDLE), in whole seconds.',
              default: '2m',
              examples: ['10m'],
            },
          ),
          interval: duration(
            { from: '1s', to: '9h' },
            {
              title: 'interval of probes',
              description: 'Time between probes (TCP_KEEPINTVL), in whole seconds.',
              default: '30s',
              examples: ['10s'],
            },
          ),
          count: optional(
            Type.Integer({
              minimum: 1,
              maximum: 127,
              title: 'probes without an answer',
              description: 'So many unanswered probes end the connection (TCP_KEEPCNT).',
              default: 3,
              unit: 'probes',
              examples: [5],
            }),
          ),
        },
        { additionalProperties: false },
      ),
    ],
    {
      title: 'keepalive',
      description:
        'Probes of connections on which nothing moves, so that a peer that vanished is noticed before the idle timeout and middleboxes do not forget the connection.',
      default: 'off',
      examples: [{ idle: '2m', interval: '30s', count: 3 }],
    } satisfies Description,
  ),
);

const userTimeout = Type.Optional(
  text(
    { duration: { from: '1ms', to: '24h' } },
    {
      unit: 'ms, s, m, h',
      title: 'user timeout',
      description:
        'How long bytes that were sent may stay unacknowledged before the connection is given up (TCP_USER_TIMEOUT); the kernel tries for about 15 minutes unless set.',
      examples: ['30s'],
    },
  ),
);

const congestionControl = optional(
  Type.String({
    pattern: '^[a-zA-Z0-9_-]{1,15}$',
    names: 'auto, system, or the name of a congestion control, such as cubic',
    title: 'congestion control',
    description:
      'How TCP decides what may be on its way (TCP_CONGESTION): one of `net.ipv4.tcp_available_congestion_control`, or `system` for the one of the system. `auto` is the one of the system, but `reno` for peers at loopback addresses where the one of the system paces what it sends (`bbr`): over loopback that takes a timer for each segment and up to half the rate, and serves nobody. Others than those of `net.ipv4.tcp_allowed_congestion_control` need CAP_NET_ADMIN, also after `user` has been switched to.',
    default: 'auto',
    examples: ['cubic'],
  } satisfies Description),
);

/** Options of a listener's sockets; most are inherited by the connections it accepts. */
export const listenerSocket = optional(
  Type.Object(
    {
      nodelay: optional(
        Type.Boolean({
          title: 'no delay',
          description:
            'Sends small segments at once (TCP_NODELAY), without waiting for what was sent to be acknowledged.',
          default: true,
          examples: [false],
        }),
      ),
      keepalive,
      user_timeout: userTimeout,
      congestion_control: congestionControl,
      fast_open: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 65_535,
          title: 'TCP Fast Open',
          description:
            'Accepts data with the SYN of clients that have been here before (RFC 7413); so many such connections may wait. Needs bit 2 of `net.ipv4.tcp_fastopen`. Off unless set.',
          unit: 'connections',
          examples: [256],
        } satisfies Description),
      ),
      defer_accept: Type.Optional(
        text(
          { duration: { from: '1s', to: '5m' } },
          {
            unit: 'ms, s, m, h',
            title: 'defer accept',
            description:
              'Accepts a connection when its first byte is there, or after this long (TCP_DEFER_ACCEPT). Not for protocols in which the server speaks first. Off unless set.',
            examples: ['5s'],
          },
        ),
      ),
      transparent: optional(
        Type.Boolean({
          title: 'transparent',
          description:
            "Takes connections to addresses that are not this machine's (IP_TRANSPARENT, with a TPROXY rule), and connects to endpoints of the same family with the client's address, whose answers must be routed back here. Needs CAP_NET_ADMIN, also after `user` has been switched to.",
          default: false,
          examples: [true],
        }),
      ),
      mode: Type.Optional(
        Type.String({
          pattern: '^0?[0-7]{3}$',
          names: 'three octal digits in quotes, such as "0660"',
          title: 'mode of the socket file',
          description:
            'Permissions of Unix socket files: who may write may connect. Set before anybody can. What the umask leaves unless set.',
          examples: ['0660'],
        } satisfies Description),
      ),
      owner: account(
        'owner of the socket file',
        'User who owns Unix socket files: a name in `/etc/passwd` or a number.',
        'postgres',
      ),
      group: account(
        'group of the socket file',
        'Group of Unix socket files: a name in `/etc/group` or a number.',
        'www-data',
      ),
    },
    {
      title: 'socket options',
      description:
        "Options of the listener's sockets and the connections they accept; those that mean nothing for an address's family are passed over.",
      additionalProperties: false,
      default: {},
      examples: [{ keepalive: { idle: '2m' }, user_timeout: '30s' }],
    } satisfies Description,
  ),
);

/** Options of connections to endpoints. */
export const upstreamSocket = optional(
  Type.Object(
    {
      keepalive,
      user_timeout: userTimeout,
      congestion_control: congestionControl,
      source: Type.Optional(
        text(
          { host: true },
          {
            title: 'source address',
            description:
              'The local address of connections and health checks to endpoints of its family; the kernel chooses unless set.',
            examples: ['10.0.0.5'],
          },
        ),
      ),
      fast_open: optional(
        Type.Boolean({
          title: 'TCP Fast Open',
          description:
            'Sends the first bytes with the SYN to endpoints that support it (TCP_FASTOPEN_CONNECT). Not for protocols in which the server speaks first: nothing is sent before the client has said something, and an endpoint that is down is then noticed too late to try another.',
          default: false,
          examples: [true],
        }),
      ),
    },
    {
      title: 'socket options',
      description: 'Options of connections to endpoints; Unix sockets have none of them.',
      additionalProperties: false,
      default: {},
      examples: [{ keepalive: { idle: '1m' }, source: '10.0.0.5' }],
    } satisfies Description,
  ),
);
