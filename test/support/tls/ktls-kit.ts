// Connections with keys in the kernel and no handshake: what one end sends with, the other receives with.
import { randomBytes } from 'node:crypto';
import {
  createKernel,
  Epoll,
  Errno,
  EventPoll,
  type Kernel,
  NativeMemory,
  openPipe,
  type Pipe,
  SocketOption,
  setOption,
} from '#src/splice/index.js';
import {
  AlertLevel,
  attachKernelTls,
  type CipherSuite,
  DirectionKeys,
  installKey,
  KernelTlsReader,
  KernelTlsTransport,
  KernelTlsWriter,
  kernelSuite,
  RecordType,
  receiveRecord,
  recordContent,
  recordType,
  sendRecord,
  TlsOption,
  TlsVersion,
  type TrafficKey,
  tls13Key,
} from '#src/tls/index.js';
import { ScriptedLibc } from '../faults/scripted-libc.js';
import type { RawPeer } from '../sockets/raw-peer.js';
import { pause, type SocketKit } from '../sockets/socket-kit.js';
import { RecordLayer } from './record-layer.js';

/** A suite for each of the kernel's ciphers, in each version. */
export const suiteIds: Readonly<Record<string, number>> = {
  'TLS 1.3 AES-128-GCM': 0x1301,
  'TLS 1.3 AES-256-GCM': 0x1302,
  'TLS 1.3 ChaCha20-Poly1305': 0x1303,
  'TLS 1.2 AES-128-GCM': 0xc02f,
  'TLS 1.2 AES-256-GCM': 0xc030,
  'TLS 1.2 ChaCha20-Poly1305': 0xcca8,
};

/** linux/sockios.h */
const SIOCOUTQ = 0x5411;
const count = new NativeMemory(4);
const EVENTS = (Epoll.EPOLLIN | Epoll.EPOLLOUT | Epoll.EPOLLRDHUP | Epoll.EPOLLET) >>> 0;

export interface PairOptions {
  readonly suiteId?: number;
  /** The number of both directions' first record. */
  readonly sequence?: number;
  /** The near end is the server; so it is unless told. */
  readonly isServer?: boolean;
  /** The near end may change its keys. */
  readonly hasSecrets?: boolean;
  /** The far end's records are made by hand, not by the kernel. */
  readonly isByHand?: boolean;
}

/** Two connected sockets: of the near one the kernel has the keys, the far one is the test's. */
export class KtlsPair {
  readonly libc = new ScriptedLibc();
  readonly kernel: Kernel = createKernel(this.libc);
  readonly suite: CipherSuite;
  readonly transport: KernelTlsTransport;
  readonly reader: KernelTlsReader;
  readonly writer: KernelTlsWriter;
  readonly far: RawPeer;
  /** The far end's records, where they are made by hand. */
  readonly sealing: RecordLayer;
  readonly opening: RecordLayer;
  /** What the two directions of TLS 1.3 follow from. */
  readonly nearSecret = randomBytes(32);
  readonly farSecret = randomBytes(32);
  readonly sending: DirectionKeys;
  private readonly poll: EventPoll;

  constructor(
    private readonly kit: SocketKit,
    options: PairOptions = {},
  ) {
    const { suiteId = 0x1301, sequence = 0, isServer = true } = options;
    const { hasSecrets = false, isByHand = false } = options;
    this.suite = kernelSuite(suiteId)!;
    const { near, far } = kit.pair();
    this.far = far;
    const keys = [this.nearSecret, this.farSecret].map((secret) => keyFrom(this.suite, secret));
    this.sealing = new RecordLayer(this.suite, keys[1]!);
    this.opening = new RecordLayer(this.suite, keys[0]!);
    this.sealing.sequence = this.opening.sequence = BigInt(sequence);
    protect(kit.kernel, near, this.suite, keys[0]!, keys[1]!, sequence);
    if (!isByHand) protect(kit.kernel, far.fd, this.suite, keys[1]!, keys[0]!, sequence);
    const directionKeys = (secret: Buffer): DirectionKeys =>
      new DirectionKeys(this.suite, hasSecrets ? Buffer.from(secret) : undefined);
    this.sending = directionKeys(this.nearSecret);
    const receiving = directionKeys(this.farSecret);
    const { kernel, suite } = this;
    this.writer = new KernelTlsWriter(kernel, near, suite, this.sending);
    this.reader = new KernelTlsReader(kernel, near, suite, isServer, receiving, this.writer);
    this.transport = new KernelTlsTransport(kernel, near, this.reader, this.writer);
    this.poll = new EventPoll(kit.kernel, 4);
    kit.own(this.poll.fd);
    this.poll.add(near, EVENTS, 0);
    this.look(10);
  }

  /** Takes what epoll has to say of the near end. @returns true when it said something */
  look(timeoutMs = 0): boolean {
    const count = this.poll.wait(timeoutMs);
    for (let index = 0; index < count; index++) this.transport.notice(this.poll.eventsAt(index));
    return count > 0;
  }

  /** Bytes that the far end has sent and the near end has not acknowledged. */
  farUnacknowledged(): number {
    this.kit.kernel.ioctl(this.far.fd, SIOCOUTQ, count.address);
    return count.bytes.readInt32LE(0);
  }

  /** Sends a record of any type from the far end. */
  farSends(type: number, ...content: number[]): void {
    const sent = sendRecord(this.kit.kernel, this.far.fd, type, content);
    if (sent !== content.length) throw new Error(`sendmsg: ${sent}`);
  }

  /** Sends a record that the test makes itself. */
  farSeals(type: number, content: Uint8Array, padding = 0): void {
    this.far.send(this.sealing.seal(type, content, padding));
  }

  farAlerts(description: number, level: number = AlertLevel.Fatal): void {
    this.farSends(RecordType.Alert, level, description);
  }

  /** What the far end receives next, once it is there: a record, or the end, or an error. */
  farReceives(): { type: number; content: Buffer } | 'end' | number {
    for (let attempt = 0; attempt < 1000; attempt++) {
      const length = receiveRecord(this.kit.kernel, this.far.fd, 0);
      if (length > 0) {
        return { type: recordType(), content: Buffer.from(recordContent.subarray(0, length)) };
      }
      if (length === 0) return 'end';
      if (length !== -Errno.EAGAIN) return length;
      pause(1);
    }
    throw new Error('nothing came');
  }
}

function keyFrom(suite: CipherSuite, secret: Buffer): TrafficKey {
  const { key, iv } = tls13Key(suite, secret);
  const isSalted = suite.version === TlsVersion.Tls12 && suite.cipher.saltBytes > 0;
  return { key, iv: isSalted ? iv.subarray(0, suite.cipher.saltBytes) : iv };
}

/** Gives the kernel copies of both keys. @throws Error that says what was refused */
export function protect(
  kernel: Kernel,
  fd: number,
  suite: CipherSuite,
  send: TrafficKey,
  receive: TrafficKey,
  sequence = 0,
): void {
  setOption(kernel, fd, SocketOption.IPPROTO_TCP, SocketOption.TCP_NODELAY, 1);
  const refusal = attachKernelTls(kernel, fd);
  if (refusal !== 0) throw new Error(`TCP_ULP: refusal ${refusal}`);
  for (const [direction, { key, iv }] of [
    [TlsOption.TLS_TX, send],
    [TlsOption.TLS_RX, receive],
  ] as const) {
    const copy = { key: Buffer.from(key), iv: Buffer.from(iv) };
    const result = installKey(kernel, fd, direction, suite, copy, sequence);
    if (result < 0) throw new Error(`direction ${direction}: error ${-result}`);
  }
}

/** Both ends of a connection in the kernel. @returns the near one */
export function kernelToKernel(
  kit: SocketKit,
  kernel: Kernel,
  fd: number,
  far: RawPeer,
  suiteId = 0x1301,
): KernelTlsTransport {
  const suite = kernelSuite(suiteId)!;
  const [one, other] = [keyFrom(suite, randomBytes(32)), keyFrom(suite, randomBytes(32))];
  protect(kit.kernel, fd, suite, one, other);
  protect(kit.kernel, far.fd, suite, other, one);
  const writer = new KernelTlsWriter(kernel, fd, suite, new DirectionKeys(suite));
  const reader = new KernelTlsReader(kernel, fd, suite, true, new DirectionKeys(suite), writer);
  return new KernelTlsTransport(kernel, fd, reader, writer);
}

export function emptyPipe(kit: SocketKit, bytes = 65536): Pipe {
  const pipe = openPipe(kit.kernel, bytes, new NativeMemory(8));
  if (typeof pipe === 'number') throw new Error('no pipe');
  kit.own(pipe.readEnd);
  kit.own(pipe.writeEnd);
  return pipe;
}
