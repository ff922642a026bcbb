import koffi from 'koffi';
import t from 'tap';
import {
  Cmsghdr,
  EpollEvent,
  IoUringCqe,
  IoUringParams,
  IoUringSqe,
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

const submissionOffsets = koffi.struct('io_sqring_offsets', {
  ...fields('uint32_t', 'head tail ring_mask ring_entries flags dropped array resv1'),
  user_addr: 'uint64_t',
});

const completionOffsets = koffi.struct('io_cqring_offsets', {
  ...fields('uint32_t', 'head tail ring_mask ring_entries overflow cqes flags resv1'),
  user_addr: 'uint64_t',
});

const ringParams = koffi.struct('io_uring_params', {
  ...fields('uint32_t', 'sq_entries cq_entries flags sq_thread_cpu sq_thread_idle features wq_fd'),
  resv: koffi.array('uint32_t', 3),
  sq_off: submissionOffsets,
  cq_off: completionOffsets,
});

// One field of each union.
const ringSubmission = koffi.struct('io_uring_sqe', {
  ...fields('uint8_t', 'opcode flags'),
  ioprio: 'uint16_t',
  fd: 'int32_t',
  ...fields('uint64_t', 'off addr'),
  ...fields('uint32_t', 'len msg_flags'),
  user_data: 'uint64_t',
  ...fields('uint16_t', 'buf_index personality'),
  splice_fd_in: 'int32_t',
  ...fields('uint64_t', 'addr3 pad2'),
});

const ringCompletion = koffi.struct('io_uring_cqe', {
  user_data: 'uint64_t',
  res: 'int32_t',
  flags: 'uint32_t',
});

/** Of fields that are structs themselves. */
const inner: Readonly<Record<string, ReturnType<typeof koffi.struct>>> = {
  stx_ctime: statxTimestamp,
  stx_mtime: statxTimestamp,
  sq_off: submissionOffsets,
  cq_off: completionOffsets,
};

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
  {
    name: 'io_uring_params',
    ours: IoUringParams,
    theirs: ringParams,
    names: {
      sqEntries: 'sq_entries',
      cqEntries: 'cq_entries',
      features: 'features',
      sqHead: 'sq_off.head',
      sqTail: 'sq_off.tail',
      sqArray: 'sq_off.array',
      cqHead: 'cq_off.head',
      cqTail: 'cq_off.tail',
      cqes: 'cq_off.cqes',
    },
  },
  {
    name: 'io_uring_sqe',
    ours: IoUringSqe,
    theirs: ringSubmission,
    names: {
      opcode: 'opcode',
      fd: 'fd',
      address: 'addr',
      length: 'len',
      flags: 'msg_flags',
      userData: 'user_data',
    },
  },
  {
    name: 'io_uring_cqe',
    ours: IoUringCqe,
    theirs: ringCompletion,
    names: { userData: 'user_data', result: 'res' },
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
  const [field, part] = path.split('.') as [string, string?];
  return koffi.offsetof(type, field) + (part ? koffi.offsetof(inner[field]!, part) : 0);
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
        'linux/io_uring.h',
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
