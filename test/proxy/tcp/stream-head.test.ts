import type { Test } from 'tap';
import {
  Alert,
  alertRecord,
  type ExpectedHead,
  HeadMemory,
  HeadReader,
  HeadResult,
  HeadState,
  PROXY_HEADER_BYTES_MAX,
  Rejection,
  rejectionName,
  writeProxyV2,
} from '#src/proxy/tcp/index.js';
import { createKernel, Epoll, Errno, EventPoll, type Kernel, Socket } from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { payload, Random } from '#test/support/random.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { alpn, extension, helloMessage, records, serverName } from './hello-builder.js';

const { NeedMore, Done, Rejected } = HeadResult;
const { EPOLLIN, EPOLLOUT, EPOLLRDHUP } = Epoll;
const memory = new HeadMemory();
/** Never scripted, never traced. */
const own = createKernel();

const both: ExpectedHead = { proxyHeader: true, clientHello: true };
const onlyHello: ExpectedHead = { proxyHeader: false, clientHello: true };
const onlyProxy: ExpectedHead = { proxyHeader: true, clientHello: false };

const proxyLine = Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n');
const proxyV2 = Buffer.alloc(256);
const proxyV2Bytes = proxyV2.subarray(
  0,
  writeProxyV2(
    proxyV2,
    {
      source: { family: 'inet6', host: '2001:db8::1', port: 1 },
      destination: { family: 'inet6', host: '2001:db8::2', port: 2 },
    },
    { tlvs: [{ type: 2, value: Buffer.from('db.example.com') }], crc32c: true },
  ),
);
const message = helloMessage({ extensions: [serverName('db.example.com'), alpn('h2')] });
const helloBytes = records(message);

/** One accepted socket with a reader, woken as an edge-triggered loop would wake it. */
class Stream {
  readonly reader: HeadReader;
  readonly libc = new ScriptedLibc();
  readonly kernel: Kernel = createKernel(this.libc);
  readonly near: number;
  readonly far: RawPeer;
  private readonly poll: EventPoll;
  /** Wake-ups with events for the socket. */
  wakeUps = 0;

  constructor(kit: SocketKit, expected: ExpectedHead, family: 'inet' | 'unix' = 'inet') {
    ({ near: this.near, far: this.far } = kit.pair(family));
    this.reader = new HeadReader(memory, expected);
    this.poll = new EventPoll(kit.kernel, 8);
    kit.own(this.poll.fd);
    const events = (EPOLLIN | EPOLLOUT | Epoll.EPOLLPRI | EPOLLRDHUP | Epoll.EPOLLET) >>> 0;
    this.poll.add(this.near, events, 1);
  }

  /** Waits until there are events, and advances by them. NeedMore also when none come in time. */
  wake(timeoutMs = 1000): HeadResult {
    const count = this.poll.wait(timeoutMs);
    if (count === 0) return NeedMore;
    this.wakeUps++;
    return this.reader.advance(this.kernel, this.near, this.poll.eventsAt(0));
  }

  /** Wakes until there is an answer, or nothing more happens. */
  settle(): HeadResult {
    for (;;) {
      const before = this.wakeUps;
      const result = this.wake(50);
      if (result !== NeedMore || this.wakeUps === before) return result;
    }
  }

  /** What is left in the socket for whoever reads next. */
  left(): Buffer {
    const bytes: Buffer[] = [];
    for (;;) {
      const count = own.recv(this.near, memory.address, memory.byteLength, 0);
      if (count <= 0) return Buffer.concat(bytes);
      bytes.push(Buffer.from(memory.bytes.subarray(0, count)));
    }
  }
}

function isDone(t: Test, stream: Stream, result: HeadResult): void {
  const { reader } = stream;
  t.equal(result, Done, `rejection ${reader.rejection ?? 'none'}`);
  t.equal(reader.state, HeadState.done);
}

function isRejected(
  t: Test,
  stream: Stream,
  result: HeadResult,
  name: keyof typeof Rejection,
): void {
  const { reader } = stream;
  t.equal(result, Rejected);
  t.equal(reader.rejection && rejectionName(reader.rejection), name);
  t.equal(reader.advance(stream.kernel, stream.near, EPOLLIN), Rejected, 'for good');
}

const whole = Buffer.concat([proxyLine, helloBytes]);

function expectWhole(t: Test, stream: Stream, result: HeadResult): void {
  const { reader } = stream;
  isDone(t, stream, result);
  t.same(reader.proxyHeader?.endpoints?.source, { family: 'inet', host: '192.0.2.1', port: 12345 });
  t.equal(reader.clientHello?.serverName, 'db.example.com');
  t.same(reader.clientHello?.alpn, ['h2']);
}

socketTest('stream head: one that comes at once costs two reads', async (t, kit) => {
  const stream = new Stream(kit, both);
  stream.far.send(whole);
  expectWhole(t, stream, stream.settle());
  t.same(
    stream.libc.trace.map(({ name, args, result }) => [name, args[3], result]),
    [
      ['recv', Socket.MSG_PEEK, whole.length],
      ['recv', 0, proxyLine.length],
    ],
  );
  t.same(stream.left(), helloBytes, 'the hello is where it was');
});

socketTest('stream head: version 2 with its TLVs', async (t, kit) => {
  const stream = new Stream(kit, both);
  stream.far.send(Buffer.concat([proxyV2Bytes, helloBytes]));
  isDone(t, stream, stream.settle());
  const { proxyHeader } = stream.reader;
  t.same(proxyHeader?.endpoints?.source, { family: 'inet6', host: '2001:db8::1', port: 1 });
  t.same(proxyHeader?.tlvs, [{ type: 2, value: Buffer.from('db.example.com') }]);
  t.same(stream.left(), helloBytes);
});

socketTest('stream head: split at every place, it says the same', async (t, kit) => {
  for (const [expected, bytes, head] of [
    [both, whole, proxyLine.length],
    [onlyProxy, proxyV2Bytes, proxyV2Bytes.length],
  ] as const) {
    for (let cut = 1; cut < bytes.length; cut++) {
      const stream = new Stream(kit, expected);
      stream.far.send(bytes.subarray(0, cut));
      if (stream.wake() !== NeedMore) t.fail(`too early at ${cut}`);
      stream.far.send(bytes.subarray(cut));
      if (stream.wake() !== Done) t.fail(`not done, cut at ${cut}`);
      if (!stream.left().equals(bytes.subarray(head))) t.fail(`wrong rest, cut at ${cut}`);
      kit.closeAll();
    }
  }
  t.pass();
});

socketTest('stream head: byte by byte, over TCP and unix sockets', async (t, kit) => {
  for (const family of ['inet', 'unix'] as const) {
    const stream = new Stream(kit, both, family);
    if (family === 'inet') stream.far.set(6, 1, 1);
    for (let at = 0; at < whole.length - 1; at++) {
      stream.far.send(whole.subarray(at, at + 1));
      if (stream.wake() !== NeedMore) t.fail(`too early at ${at}`);
    }
    stream.far.send(whole.subarray(-1));
    expectWhole(t, stream, stream.wake());
    t.same(stream.left(), helloBytes);
  }
});

socketTest(
  'stream head: what follows a PROXY header is left alone, to the byte',
  async (t, kit) => {
    const rest = payload(7, 50_000);
    for (const head of [proxyLine, proxyV2Bytes]) {
      const stream = new Stream(kit, onlyProxy);
      stream.far.send(Buffer.concat([head, rest]));
      isDone(t, stream, stream.settle());
      t.equal(stream.reader.clientHello, undefined);
      pause(20);
      t.ok(stream.left().equals(rest));
    }
  },
);

socketTest('stream head: a slow client is not parsed at every segment', async (t, kit) => {
  const stream = new Stream(kit, onlyHello);
  stream.far.set(6, 1, 1);
  const slow = records(helloMessage({ extensions: [extension(21, Buffer.alloc(200))] }), 100);
  for (let at = 0; at < slow.length; at++) {
    stream.far.send(slow.subarray(at, at + 1));
    stream.wake();
  }
  t.equal(stream.reader.state, HeadState.done);
  t.ok(stream.wakeUps > slow.length / 2, `${stream.wakeUps} wake-ups`);
  t.ok(stream.libc.count('recv') <= 20, `${stream.libc.count('recv')} looks`);
});

socketTest('stream head: an event that is not for reading costs no call', async (t, kit) => {
  const stream = new Stream(kit, both);
  t.equal(stream.wake(), NeedMore);
  t.equal(stream.wakeUps, 1);
  t.same(stream.libc.trace, []);
  t.equal(stream.reader.advance(stream.kernel, stream.near, 0), NeedMore, 'a try without an event');
  t.equal(stream.libc.count('recv'), 1);
});

socketTest('stream head: the longest head fits a receive buffer nobody reads', async (t, kit) => {
  const stream = new Stream(kit, both);
  const header = Buffer.alloc(PROXY_HEADER_BYTES_MAX);
  const value = Buffer.alloc(PROXY_HEADER_BYTES_MAX - 16 - 3 - 12);
  const address = { family: 'inet', host: '192.0.2.1', port: 1 } as const;
  const tlvs = [{ type: 4, value }];
  writeProxyV2(header, { source: address, destination: address }, { tlvs });
  const padding = extension(21, Buffer.alloc(16384 - 34 - 33 - 6 - 2 - 2 - 4));
  const largest = records(helloMessage({ extensions: [padding] }), 6);
  const bytes = Buffer.concat([header, largest]);
  let sent = 0;
  while (sent < bytes.length) {
    const count = stream.far.send(bytes.subarray(sent));
    sent += count;
    if (count === 0) pause(5);
  }
  isDone(t, stream, stream.settle());
  t.ok(stream.left().equals(largest));
});

socketTest('stream head: what is malformed is rejected with its alert', async (t, kit) => {
  for (const [expected, bytes, name, alert] of [
    [both, helloBytes, 'proxy_missing', undefined],
    [both, Buffer.from('PROXY TCP4 1.2.3.4\r\n'), 'proxy_line_malformed', undefined],
    [onlyHello, Buffer.from('GET / HTTP/1.1\r\n'), 'plain_http', undefined],
    [onlyHello, proxyLine, 'not_tls', undefined],
    [onlyHello, records(helloMessage({ type: 2 })), 'not_client_hello', Alert.unexpected_message],
    [
      both,
      Buffer.concat([proxyLine, records(helloMessage({ extensions: [serverName('1.1.1.1')] }))]),
      'server_name_address',
      Alert.illegal_parameter,
    ],
  ] as const) {
    const stream = new Stream(kit, expected);
    stream.far.send(bytes);
    isRejected(t, stream, stream.settle(), name);
    t.equal(stream.reader.alert, alert);
  }
});

socketTest(
  'stream head: an end without a byte is empty, one inside is truncated',
  async (t, kit) => {
    for (const [expected, bytes, name] of [
      [both, '', 'head_empty'],
      [onlyHello, '', 'head_empty'],
      [both, proxyLine, 'head_empty'],
      [both, proxyLine.subarray(0, 20), 'head_truncated'],
      [both, whole.subarray(0, -1), 'head_truncated'],
      [onlyHello, helloBytes.subarray(0, 1), 'head_truncated'],
      [onlyHello, Buffer.from('GE'), 'head_truncated'],
    ] as const) {
      for (const isAtOnce of [true, false]) {
        for (const family of ['inet', 'unix'] as const) {
          const stream = new Stream(kit, expected, family);
          stream.far.send(Buffer.from(bytes));
          if (!isAtOnce) t.equal(stream.settle(), NeedMore);
          if (family === 'inet') stream.far.end();
          else stream.far.close();
          isRejected(t, stream, stream.settle(), name);
        }
      }
    }
  },
);

socketTest('stream head: a whole head is good, though its end has come', async (t, kit) => {
  for (const [expected, bytes] of [
    [both, whole],
    [onlyProxy, proxyLine],
  ] as const) {
    const stream = new Stream(kit, expected);
    stream.far.send(bytes);
    stream.far.end();
    isDone(t, stream, stream.settle());
  }
});

socketTest('stream head: a reset is told from an end', async (t, kit) => {
  for (const bytes of ['', proxyLine.subarray(0, 9), proxyLine, whole.subarray(0, -1)]) {
    for (const isAtOnce of [true, false]) {
      const stream = new Stream(kit, both);
      stream.far.send(Buffer.from(bytes));
      if (!isAtOnce) t.equal(stream.settle(), NeedMore);
      stream.far.reset();
      isRejected(t, stream, stream.settle(), 'head_reset');
      t.equal(stream.reader.errno, Errno.ECONNRESET);
    }
  }
});

socketTest('stream head: an urgent byte inside is rejected, not waited for', async (t, kit) => {
  const stream = new Stream(kit, onlyHello);
  stream.far.send(helloBytes.subarray(0, 50));
  stream.far.sendUrgent(1);
  stream.far.send(helloBytes.subarray(50));
  isRejected(t, stream, stream.settle(), 'head_urgent');
});

socketTest('stream head: faults in the middle of taking the PROXY header', async (t, kit) => {
  const stream = new Stream(kit, both);
  let takes = 0;
  stream.libc.script('recv', (args, real) => {
    if (args[3] !== 0) return real(...args);
    takes++;
    if (takes === 2) return -Errno.EINTR;
    if (takes === 4) return -Errno.EAGAIN;
    const [fd, address, length, flags] = args as [number, number, number, number];
    return real(fd, address, Math.min(length, 10), flags);
  });
  stream.far.send(whole);
  t.equal(stream.wake(), NeedMore);
  t.equal(stream.reader.state, HeadState.proxyRest);
  t.equal(stream.reader.advance(stream.kernel, stream.near, EPOLLOUT), NeedMore);
  expectWhole(t, stream, stream.reader.advance(stream.kernel, stream.near, EPOLLIN));
  t.same(stream.left(), helloBytes);
});

socketTest('stream head: reads that fail, each by its name', async (t, kit) => {
  for (const [errno, name] of [
    [Errno.ECONNRESET, 'head_reset'],
    [Errno.EPIPE, 'head_reset'],
    [Errno.ETIMEDOUT, 'head_failed'],
    [Errno.ENOMEM, 'head_failed'],
  ] as const) {
    for (const failsAt of [1, 2]) {
      const stream = new Stream(kit, both);
      let calls = 0;
      stream.libc.script('recv', (args, real) => (++calls === failsAt ? -errno : real(...args)));
      stream.far.send(whole);
      isRejected(t, stream, stream.settle(), name);
      t.equal(stream.reader.errno, errno);
      t.equal(stream.reader.alert, undefined);
    }
  }
});

socketTest('stream head: a queue that cannot be counted is looked at', async (t, kit) => {
  const stream = new Stream(kit, onlyHello);
  stream.libc.script('ioctl', () => -Errno.EINVAL);
  stream.far.send(helloBytes.subarray(0, 20));
  t.equal(stream.settle(), NeedMore);
  stream.far.send(helloBytes.subarray(20));
  isDone(t, stream, stream.settle());
});

socketTest(
  'stream head: too late, with an alert for those who began to speak TLS',
  async (t, kit) => {
    for (const [expected, bytes, alert] of [
      [onlyHello, '', undefined],
      [onlyHello, helloBytes.subarray(0, 30), Alert.close_notify],
      [both, proxyLine.subarray(0, 30), undefined],
      [both, proxyLine, undefined],
      [both, whole.subarray(0, -1), Alert.close_notify],
    ] as const) {
      const stream = new Stream(kit, expected);
      stream.far.send(Buffer.from(bytes));
      t.equal(stream.settle(), NeedMore);
      stream.reader.expire();
      isRejected(t, stream, Rejected, 'head_timeout');
      t.equal(stream.reader.alert, alert);
    }
  },
);

socketTest(
  'stream head: without a route, the client is told and nothing is reset',
  async (t, kit) => {
    const stream = new Stream(kit, onlyHello);
    stream.far.send(Buffer.concat([helloBytes, payload(3, 20_000)]));
    isDone(t, stream, stream.settle());
    stream.reader.refuse(Rejection.server_name_unknown);
    isRejected(t, stream, Rejected, 'server_name_unknown');
    pause(20);
    stream.reader.dismiss(stream.kernel, stream.near);
    kit.close(stream.near);
    pause(20);
    stream.far.receive();
    t.same(stream.far.received, alertRecord(Alert.unrecognized_name));
    t.same([stream.far.isEnded, stream.far.errno], [true, 0]);
  },
);

const SEED = Random.seed();

socketTest(`stream head: any pieces at any pace, no byte lost (SEED=${SEED})`, async (t, kit) => {
  const random = new Random(SEED);
  for (let round = 0; round < 60; round++) {
    const stream = new Stream(kit, both);
    stream.libc.script('recv', (args, real) => {
      if (random.oneIn(6)) return -Errno.EINTR;
      const [fd, address, length, flags] = args as [number, number, number, number];
      const isTaking = flags === 0 && random.oneIn(2);
      return real(fd, address, isTaking ? random.between(1, length) : length, flags);
    });
    const fragments = records(message, random.between(1, message.length));
    const rest = payload(round, random.between(0, 3000));
    const head = random.pick([proxyLine, proxyV2Bytes]);
    const bytes = Buffer.concat([head, fragments, rest]);
    let result: HeadResult = NeedMore;
    for (let at = 0; at < bytes.length; ) {
      const length = random.between(1, random.oneIn(3) ? bytes.length : 60);
      stream.far.send(bytes.subarray(at, at + length));
      at += length;
      result = stream.wake(0);
    }
    if (result !== Done) result = stream.settle();
    if (result !== Done) t.fail(`round ${round}: ${result}`);
    pause(2);
    if (!stream.left().equals(Buffer.concat([fragments, rest])))
      t.fail(`round ${round}: lost bytes`);
    kit.closeAll();
  }
  t.pass();
});
