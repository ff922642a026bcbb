// KeyUpdate as a kernel of 6.14 or later has it, played by the test: none that tests run in is so new.
import koffi from 'koffi';
import t from 'tap';
import { createKernel, Errno, Msghdr, NativeMemory, Outcome, Socket } from '#src/splice/index.js';
import {
  cryptoInfoLayout,
  DirectionKeys,
  KernelTlsReader,
  KernelTlsTransport,
  KernelTlsWriter,
  kernelSuite,
  nextSecret,
  RecordType,
  TlsEnding,
  TlsOption,
  tls13Key,
} from '#src/tls/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';

const { SOL_TLS, TLS_RX, TLS_TX } = TlsOption;
const memory = new NativeMemory(64);
const bytesAt = (address: number, length: number): Buffer =>
  Buffer.from(koffi.view(BigInt(address), length));

/** The record layer of a connection: records that wait, and all that was asked of it, in order. */
class RecordLayerOfTheFuture {
  readonly waiting: { type: number; content: number[] }[] = [];
  readonly asked: (readonly [string, ...unknown[]])[] = [];
  setResult = 0;
  sendResult = 0;
  readonly suite;
  readonly sending: DirectionKeys;
  readonly writer: KernelTlsWriter;
  readonly transport: KernelTlsTransport;

  constructor(
    readonly suiteId: number,
    readonly mine: Buffer,
    readonly theirs: Buffer,
  ) {
    this.suite = kernelSuite(suiteId)!;
    const kernel = createKernel(
      new ScriptedLibc({
        recv: () => this.receive(),
        recvmsg: ([, message, flags]) => this.receiveMessage(message!, flags!),
        sendmsg: ([, message]) => this.sendMessage(message!),
        send: ([, , length]) => {
          this.asked.push(['send', length]);
          return length!;
        },
        setsockopt: ([, level, direction, value, length]) =>
          level === SOL_TLS ? this.setKey(direction!, value!, length!) : 0,
        getsockopt: () => 0,
      }),
    );
    this.sending = new DirectionKeys(this.suite, Buffer.from(mine));
    const receiving = new DirectionKeys(this.suite, Buffer.from(theirs));
    this.writer = new KernelTlsWriter(kernel, 9, this.suite, this.sending);
    const reader = new KernelTlsReader(kernel, 9, this.suite, true, receiving, this.writer);
    this.transport = new KernelTlsTransport(kernel, 9, reader, this.writer);
  }

  /** What TLS_TX or TLS_RX is told for the n-th key after `secret`, record 0. */
  key(secret: Buffer, n: number): string {
    let at = secret;
    for (let step = 0; step < n; step++) at = nextSecret(this.suite, at);
    return tls13Key(this.suite, at).key.toString('hex');
  }

  private receive(): number {
    const [first] = this.waiting;
    if (first === undefined) return -Errno.EAGAIN;
    if (first.type !== RecordType.ApplicationData) return -Errno.EIO;
    this.waiting.shift();
    return first.content.length;
  }

  private receiveMessage(message: number, flags: number): number {
    const [first] = this.waiting;
    if (first === undefined) return -Errno.EAGAIN;
    const header = bytesAt(message, Msghdr.size);
    const control = bytesAt(Number(header.readBigUInt64LE(Msghdr.control)), 24);
    control.writeInt32LE(SOL_TLS, 8);
    control.writeInt32LE(TlsOption.TLS_GET_RECORD_TYPE, 12);
    control.writeUInt8(first.type, 16);
    const iov = bytesAt(Number(header.readBigUInt64LE(Msghdr.iov)), 16);
    const wanted = Number(iov.readBigUInt64LE(8));
    const content = first.content.slice(0, wanted);
    bytesAt(Number(iov.readBigUInt64LE(0)), content.length).set(content);
    if ((flags & Socket.MSG_PEEK) === 0) this.waiting.shift();
    return content.length;
  }

  private sendMessage(message: number): number {
    if (this.sendResult < 0) return this.sendResult;
    const header = bytesAt(message, Msghdr.size);
    const type = bytesAt(Number(header.readBigUInt64LE(Msghdr.control)), 24)[16];
    const iov = bytesAt(Number(header.readBigUInt64LE(Msghdr.iov)), 16);
    const length = Number(iov.readBigUInt64LE(8));
    const content = [...bytesAt(Number(iov.readBigUInt64LE(0)), length)];
    this.asked.push(['sendmsg', type, content]);
    return length;
  }

  private setKey(direction: number, value: number, length: number): number {
    const info = bytesAt(value, length);
    const { key, salt, recSeq } = cryptoInfoLayout(this.suite.cipher);
    const hex = info.toString('hex', key, salt);
    this.asked.push(['key', direction, hex, Number(info.readBigUInt64BE(recSeq))]);
    return this.setResult;
  }
}

const update = { type: RecordType.Handshake, content: [24, 0, 0, 1, 0] };
const request = { type: RecordType.Handshake, content: [24, 0, 0, 1, 1] };
const data = { type: RecordType.ApplicationData, content: [1, 2, 3] };
const said = ['sendmsg', RecordType.Handshake, [24, 0, 0, 1, 0]] as const;

for (const [suiteId, secretBytes] of [
  [0x1301, 32],
  [0x1302, 48],
  [0x1303, 32],
] as const) {
  const mine = Buffer.alloc(secretBytes, 1);
  const theirs = Buffer.alloc(secretBytes, 2);
  const name = kernelSuite(suiteId)!.cipher.name;

  t.test(`key update: the receiving key follows, ${name}`, async (t) => {
    const layer = new RecordLayerOfTheFuture(suiteId, mine, theirs);
    layer.waiting.push(update, data, update, data);
    t.equal(layer.transport.read(memory.address, 64), 3);
    t.equal(layer.transport.read(memory.address, 64), 3);
    t.equal(layer.transport.read(memory.address, 64), Outcome.Blocked);
    t.same(layer.asked, [
      ['key', TLS_RX, layer.key(theirs, 1), 0],
      ['key', TLS_RX, layer.key(theirs, 2), 0],
    ]);
  });

  t.test(`key update: one that asks is answered, ${name}`, async (t) => {
    const layer = new RecordLayerOfTheFuture(suiteId, mine, theirs);
    layer.waiting.push(request, data);
    t.equal(layer.transport.read(memory.address, 64), 3);
    t.equal(layer.transport.write(memory.address, 10), 10);
    t.same(layer.asked, [
      ['key', TLS_RX, layer.key(theirs, 1), 0],
      said,
      ['key', TLS_TX, layer.key(mine, 1), 0],
      ['send', 10],
    ]);
  });

  t.test(`key update: the answer waits for room, ${name}`, async (t) => {
    const layer = new RecordLayerOfTheFuture(suiteId, mine, theirs);
    layer.waiting.push(request, data);
    layer.sendResult = -Errno.EAGAIN;
    t.equal(layer.transport.read(memory.address, 64), 3, 'reading goes on');
    t.equal(layer.transport.write(memory.address, 10), Outcome.Blocked);
    t.equal(layer.transport.writable, false);
    layer.sendResult = 0;
    t.equal(layer.transport.write(memory.address, 10), 10);
    t.same(layer.asked.slice(1), [said, ['key', TLS_TX, layer.key(mine, 1), 0], ['send', 10]]);
  });
}

t.test('key update: ours before the key has served its time', async (t) => {
  const mine = Buffer.alloc(32, 1);
  const layer = new RecordLayerOfTheFuture(0x1301, mine, mine);
  layer.sending.recordsLeft = 2;
  for (const size of [10, 10, 10]) t.equal(layer.transport.write(memory.address, size), size);
  t.same(layer.asked, [
    ['send', 10],
    ['send', 10],
    said,
    ['key', TLS_TX, layer.key(mine, 1), 0],
    ['send', 10],
  ]);
  t.ok(layer.sending.recordsLeft > 2 ** 24);
});

t.test('key update: a kernel that refuses our next key ends the connection', async (t) => {
  const mine = Buffer.alloc(32, 1);
  const layer = new RecordLayerOfTheFuture(0x1301, mine, mine);
  layer.sending.recordsLeft = 0;
  layer.setResult = -Errno.EBUSY;
  t.equal(layer.transport.write(memory.address, 10), Outcome.Failed);
  t.same([layer.transport.errno, layer.transport.ending], [Errno.EKEYEXPIRED, TlsEnding.KeyUpdate]);
  const asked = layer.asked.length;
  t.equal(layer.transport.write(memory.address, 10), Outcome.Failed);
  t.equal(layer.asked.length, asked, 'and nothing more is said under the old one');
});
