import koffi from 'koffi';
import t from 'tap';
import {
  Cmsghdr,
  EpollEvent,
  Iovec,
  Linger,
  Msghdr,
  OpenHow,
  Pollfd,
  SockaddrIn,
  SockaddrIn6,
  SockaddrUn,
  SockExtendedErr,
  Statx,
  TcpInfo,
} from '#src/splice/index.js';
import { evaluate, hasCompiler } from '#test/support/machine/c-program.js';

// The C declarations, field by field; koffi lays them out by the rules of this machine's ABI.

// EPOLL_PACKED: packed on x86-64 only, so that 32-bit programs share the layout.
const declareEvent = process.arch === 'x64' ? koffi.pack : koffi.struct;
const epollEvent = declareEvent('epoll_event', { events: 'uint32_t', data: 'uint64_t' });

const sockaddrIn = koffi.struct('sockaddr_in', {
  sin_family: 'uint16_t',
  sin_port: 'uint16_t',
  sin_addr: 'uint32_t',
  sin_zero: koffi.array('uint8_t', 8),
});

const sockaddrIn6 = koffi.struct('sockaddr_in6', {
  sin6_family: 'uint16_t',
  sin6_port: 'uint16_t',
  sin6_flowinfo: 'uint32_t',
  sin6_addr: koffi.array('uint8_t', 16),
  sin6_scope_id: 'uint32_t',
});

const sockaddrUn = koffi.struct('sockaddr_un', {
  sun_family: 'uint16_t',
  sun_path: koffi.array('char', 108),
});

const linger = koffi.struct('linger', { l_onoff: 'int', l_linger: 'int' });

const iovec = koffi.struct('iovec', { iov_base: 'void *', iov_len: 'size_t' });

const msghdr = koffi.struct('msghdr', {
  msg_name: 'void *',
  msg_namelen: 'uint32_t',
  msg_iov: 'void *',
  msg_iovlen: 'size_t',
  msg_control: 'void *',
  msg_controllen: 'size_t',
  msg_flags: 'int',
});

const sockExtendedErr = koffi.struct('sock_extended_err', {
  ee_errno: 'uint32_t',
  ee_origin: 'uint8_t',
  ee_type: 'uint8_t',
  ee_code: 'uint8_t',
  ee_pad: 'uint8_t',
  ee_info: 'uint32_t',
  ee_data: 'uint32_t',
});

const cmsghdr = koffi.struct('cmsghdr', {
  cmsg_len: 'size_t',
  cmsg_level: 'int',
  cmsg_type: 'int',
});

const pollfd = koffi.struct('pollfd', { fd: 'int', events: 'short', revents: 'short' });

const tcpInfo = koffi.struct('tcp_info', {
  ...fields('uint8_t', 'state ca_state retransmits probes backoff options wscales flags'),
  ...fields('uint32_t', 'rto ato snd_mss rcv_mss unacked sacked lost retrans fackets'),
  ...fields('uint32_t', 'last_data_sent last_ack_sent last_data_recv last_ack_recv'),
  ...fields('uint32_t', 'pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering'),
  ...fields('uint32_t', 'rcv_rtt rcv_space total_retrans'),
  ...fields('uint64_t', 'pacing_rate max_pacing_rate bytes_acked bytes_received'),
  ...fields('uint32_t', 'segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out'),
  ...fields('uint64_t', 'delivery_rate busy_time rwnd_limited sndbuf_limited'),
  ...fields('uint32_t', 'delivered delivered_ce'),
  ...fields('uint64_t', 'bytes_sent bytes_retrans'),
  ...fields('uint32_t', 'dsack_dups reord_seen rcv_ooopack snd_wnd'),
});

const openHow = koffi.struct('open_how', fields('uint64_t', 'flags mode resolve'));

const statxTimestamp = koffi.struct('statx_timestamp', {
  tv_sec: 'int64_t',
  tv_nsec: 'uint32_t',
  reserved: 'int32_t',
});

const statx = koffi.struct('statx', {
  ...fields('uint32_t', 'stx_mask stx_blksize'),
  stx_attributes: 'uint64_t',
  ...fields('uint32_t', 'stx_nlink stx_uid stx_gid'),
  ...fields('uint16_t', 'stx_mode spare0'),
  ...fields('uint64_t', 'stx_ino stx_size stx_blocks stx_attributes_mask'),
  stx_atime: statxTimestamp,
  stx_btime: statxTimestamp,
  stx_ctime: statxTimestamp,
  stx_mtime: statxTimestamp,
  ...fields('uint32_t', 'stx_rdev_major stx_rdev_minor stx_dev_major stx_dev_minor'),
  spare: koffi.array('uint64_t', 14),
});

function fields(type: string, names: string): Record<string, string> {
  return Object.fromEntries(names.split(' ').map((name) => [name, type]));
}

/** One struct: ours, koffi's, and for each of our fields its name in C. */
interface Layout {
  readonly name: string;
  readonly ours: Readonly<Record<string, number>>;
  readonly theirs: ReturnType<typeof koffi.struct>;
  readonly names: Readonly<Record<string, string>>;
  /** Members of our layout that are no offsets. */
  readonly others?: readonly string[];
  /** Prefix of the fields in the headers, where koffi's declaration goes without. */
  readonly prefix?: string;
}

const layouts: readonly Layout[] = [
  {
    name: 'epoll_event',
    ours: EpollEvent,
    theirs: epollEvent,
    names: { events: 'events', data: 'data' },
  },
  {
    name: 'sockaddr_in',
    ours: SockaddrIn,
    theirs: sockaddrIn,
    names: { family: 'sin_family', port: 'sin_port', address: 'sin_addr' },
  },
  {
    name: 'sockaddr_in6',
    ours: SockaddrIn6,
    theirs: sockaddrIn6,
    names: {
      family: 'sin6_family',
      port: 'sin6_port',
      flowinfo: 'sin6_flowinfo',
      address: 'sin6_addr',
      scopeId: 'sin6_scope_id',
    },
  },
  {
    name: 'sockaddr_un',
    ours: SockaddrUn,
    theirs: sockaddrUn,
    names: { family: 'sun_family', path: 'sun_path' },
    others: ['pathBytes'],
  },
  {
    name: 'linger',
    ours: Linger,
    theirs: linger,
    names: { onoff: 'l_onoff', linger: 'l_linger' },
  },
  {
    name: 'tcp_info',
    ours: TcpInfo,
    theirs: tcpInfo,
    names: { rtt: 'rtt', totalRetrans: 'total_retrans' },
    prefix: 'tcpi_',
  },
  { name: 'iovec', ours: Iovec, theirs: iovec, names: { base: 'iov_base', length: 'iov_len' } },
  {
    name: 'msghdr',
    ours: Msghdr,
    theirs: msghdr,
    names: {
      iov: 'msg_iov',
      iovlen: 'msg_iovlen',
      control: 'msg_control',
      controllen: 'msg_controllen',
      flags: 'msg_flags',
    },
  },
  {
    name: 'cmsghdr',
    ours: Cmsghdr,
    theirs: cmsghdr,
    names: { len: 'cmsg_len', level: 'cmsg_level', type: 'cmsg_type' },
    others: ['data'],
  },
  {
    name: 'sock_extended_err',
    ours: SockExtendedErr,
    theirs: sockExtendedErr,
    names: {
      errno: 'ee_errno',
      origin: 'ee_origin',
      type: 'ee_type',
      code: 'ee_code',
      pad: 'ee_pad',
      info: 'ee_info',
      data: 'ee_data',
    },
  },
  {
    name: 'pollfd',
    ours: Pollfd,
    theirs: pollfd,
    names: { fd: 'fd', events: 'events', revents: 'revents' },
  },
  {
    name: 'open_how',
    ours: OpenHow,
    theirs: openHow,
    names: { flags: 'flags', mode: 'mode', resolve: 'resolve' },
  },
  {
    name: 'statx',
    ours: Statx,
    theirs: statx,
    names: {
      mode: 'stx_mode',
      inode: 'stx_ino',
      fileSize: 'stx_size',
      changedSec: 'stx_ctime.tv_sec',
      changedNsec: 'stx_ctime.tv_nsec',
      modifiedSec: 'stx_mtime.tv_sec',
      modifiedNsec: 'stx_mtime.tv_nsec',
      deviceMajor: 'stx_dev_major',
      deviceMinor: 'stx_dev_minor',
    },
  },
];

for (const { name, ours, theirs, names, others = [] } of layouts) {
  t.test(`structs: ${name} is laid out as the C declaration says`, async (t) => {
    t.equal(ours.size, koffi.sizeof(theirs), 'size');
    for (const [field, cName] of Object.entries(names)) {
      t.equal(ours[field], offsetOf(theirs, cName), field);
    }
    const covered = ['size', ...Object.keys(names), ...others];
    t.same(Object.keys(ours).sort(), covered.sort(), 'every member is held against something');
  });
}

/** @param path a field, or a field of a field: `stx_mtime.tv_sec` */
function offsetOf(type: ReturnType<typeof koffi.struct>, path: string): number {
  const [field, inner] = path.split('.') as [string, string?];
  return koffi.offsetof(type, field) + (inner ? koffi.offsetof(statxTimestamp, inner) : 0);
}

t.test('structs: sun_path has the length of the C declaration', async (t) => {
  t.equal(SockaddrUn.pathBytes, koffi.sizeof(sockaddrUn) - koffi.offsetof(sockaddrUn, 'sun_path'));
});

t.test(
  'structs: the offsets are those of the headers of this machine',
  { skip: hasCompiler ? false : 'no C compiler (gcc)' },
  async (t) => {
    const offset = (name: string, field: string): string =>
      `__builtin_offsetof(struct ${name}, ${field})`;
    const values = evaluate(
      [
        'sys/epoll.h',
        'netinet/in.h',
        'sys/un.h',
        'sys/socket.h',
        'linux/tcp.h',
        'poll.h',
        'linux/openat2.h',
        'sys/uio.h',
        'sys/stat.h',
        'time.h',
        'linux/errqueue.h',
      ],
      layouts
        .flatMap(({ name, names, prefix = '' }) => [
          `sizeof(struct ${name})`,
          ...Object.values(names).map((field) => offset(name, prefix + field)),
        ])
        .concat('CMSG_LEN(0)'),
    );
    t.equal(Cmsghdr.data, values.get('CMSG_LEN(0)'), 'CMSG_DATA');
    for (const { name, ours, names, prefix = '' } of layouts) {
      const size = values.get(`sizeof(struct ${name})`)!;
      // tcp_info grows with every kernel; what we ask for is a prefix of it.
      if (name === 'tcp_info') t.ok(ours.size! <= size, `${name} size`);
      else t.equal(ours.size, size, `${name} size`);
      for (const [field, cName] of Object.entries(names)) {
        t.equal(ours[field], values.get(offset(name, prefix + cName)), `${name}.${cName}`);
      }
    }
  },
);
