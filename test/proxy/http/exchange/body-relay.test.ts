import type { Test } from 'tap';
import { BodyRelay } from '#src/proxy/http/exchange/body-relay.js';
import { RelayResult } from '#src/proxy/http/exchange/relay-result.js';
import { HttpBuffers } from '#src/proxy/http/http-buffers.js';
import type { HttpRoom } from '#src/proxy/http/http-room.js';
import { Framing } from '#src/proxy/http/message/message-head.js';
import {
  NativeMemory,
  type Pipe,
  PumpSlot,
  type PumpTap,
  type Transport,
  TURN_BYTES_MAX,
} from '#src/splice/index.js';
import { payload } from '#test/support/random.js';
import { nothingTaken, PumpRig } from '#test/support/sockets/pump-rig.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

/** Keeps what it is told, by duplicating it into a pipe of its own and reading that. */
class Listening implements PumpTap {
  readonly chunks: Buffer[] = [];
  spliceCount = 0;
  private readonly memory = new NativeMemory(65536);

  constructor(private readonly kit: SocketKit) {}

  get heard(): Buffer {
    return Buffer.concat(this.chunks);
  }

  spliced(pipe: Pipe, bytes: number): void {
    const { kernel } = this.kit;
    const ends = new NativeMemory(8);
    kernel.pipe2(ends.address, 0);
    const [readEnd, writeEnd] = [ends.bytes.readInt32LE(0), ends.bytes.readInt32LE(4)];
    kernel.tee(pipe.readEnd, writeEnd, bytes, 0);
    for (let left = bytes; left > 0; ) {
      const read = kernel.read(readEnd, this.memory.address, this.memory.byteLength);
      this.chunks.push(Buffer.from(this.memory.bytes.subarray(0, read)));
      left -= read;
    }
    kernel.close(readEnd);
    kernel.close(writeEnd);
    this.spliceCount++;
  }

  copied(address: number, bytes: number): void {
    const { kernel } = this.kit;
    const ends = new NativeMemory(8);
    kernel.pipe2(ends.address, 0);
    const [readEnd, writeEnd] = [ends.bytes.readInt32LE(0), ends.bytes.readInt32LE(4)];
    if (kernel.write(writeEnd, address, bytes) !== bytes) throw new Error('more than a pipe takes');
    kernel.read(readEnd, this.memory.address, bytes);
    this.chunks.push(Buffer.from(this.memory.bytes.subarray(0, bytes)));
    kernel.close(readEnd);
    kernel.close(writeEnd);
  }
}

interface Message {
  readonly framing: Framing;
  readonly length?: number;
  readonly isUnchunked?: boolean;
  /** As they are on the wire, framing included. */
  readonly body: Buffer;
  /** What is passed on, where that is something else. */
  readonly passed?: Buffer;
}

/** Sends a message through a relay whose first bytes came with the head. */
function relayed(t: Test, kit: SocketKit, message: Message, withHead: number): Listening {
  const { framing, length = 0, isUnchunked, body, passed = body } = message;
  const rig = new PumpRig(kit, { bufferBytes: 16_384 });
  const { kernel, pipes, buffers: copies, clock, meter } = rig;
  const buffers = new HttpBuffers(8192);
  const worker = { kernel, pipes, buffers: copies, clock };
  const relay = new BodyRelay({ worker, buffers } as unknown as HttpRoom, meter, meter);
  const tap = new Listening(kit);
  relay.tap = tap;
  relay.begin(framing, length, isUnchunked);
  const side = (transport: Transport) => ({ transport, tls: undefined });
  relay.join(side(rig.source), side(rig.sink));
  const first = buffers.takeBuffer();
  body.copy(first.bytes, 0, 0, withHead);
  t.equal(relay.admit(first, 0, withHead), withHead);
  relay.hold(first, 0, relay.admitted, true);
  let sent = withHead;
  let result: RelayResult = RelayResult.Waiting;
  for (let turn = 0; turn < 20_000 && result !== RelayResult.Ended; turn++) {
    if (sent < body.length) sent += rig.sender.send(body.subarray(sent, sent + 100_000));
    else if (framing === Framing.until_close) rig.sender.end();
    rig.look(1);
    result = relay.run();
    rig.receiver.receive();
  }
  rig.receiver.receive();
  t.equal(result, RelayResult.Ended);
  t.ok(rig.receiver.received.equals(passed));
  t.ok(tap.heard.equals(passed), 'heard, to the byte, what was passed on');
  relay.release();
  t.equal(relay.tap, undefined, 'the next body has another');
  t.equal(buffers.inUse, 0);
  t.same(rig.finish(), nothingTaken);
  return tap;
}

function chunked(sizes: readonly number[], bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    parts.push(Buffer.from(`${size.toString(16)}\r\n`), bytes.subarray(at, at + size));
    parts.push(Buffer.from('\r\n'));
    at += size;
  }
  return Buffer.concat([...parts, Buffer.from('0\r\nx-trailer: 1\r\n\r\n')]);
}

const bytes = payload(1, 700_000);
const sizes = [1, 300, 20_000, 300_000, 5, 200_000, 7];
const data = bytes.subarray(
  0,
  sizes.reduce((sum, size) => sum + size, 0),
);

for (const withHead of [0, 1, 700, 20_000]) {
  socketTest(
    `relay: a tap hears a body with a length, ${withHead} with the head`,
    async (t, kit) => {
      const message = { framing: Framing.length, length: bytes.length, body: bytes };
      t.ok(relayed(t, kit, message, withHead).spliceCount > 0);
    },
  );

  socketTest(
    `relay: a tap hears a body up to the end, ${withHead} with the head`,
    async (t, kit) => {
      const message = { framing: Framing.until_close, body: bytes };
      t.ok(relayed(t, kit, message, withHead).spliceCount > 0);
    },
  );

  socketTest(`relay: a tap hears chunks as they are, ${withHead} with the head`, async (t, kit) => {
    const message = { framing: Framing.chunked, body: chunked(sizes, data) };
    t.ok(relayed(t, kit, message, withHead).spliceCount > 0);
  });

  socketTest(`relay: a tap hears chunks taken apart, ${withHead} with the head`, async (t, kit) => {
    const body = chunked(sizes, data);
    relayed(t, kit, { framing: Framing.chunked, isUnchunked: true, body, passed: data }, withHead);
  });
}

/** A relay's first read gets so many bytes, where so many wait. */
const readBytes = ((): number => {
  const buffers = new HttpBuffers(8192);
  const buffer = buffers.takeBuffer();
  return buffer.end - buffers.readStart(buffer);
})();

for (let overhang = 0; overhang <= 10; overhang++) {
  socketTest(`relay: a read ends ${overhang} bytes behind a chunk's data`, async (t, kit) => {
    const lineBytes = `${readBytes.toString(16)}\r\n`.length;
    const pieces = [readBytes - lineBytes - overhang, 200_000, 70_000, 1, 100_000];
    const content = payload(
      overhang,
      pieces.reduce((sum, size) => sum + size),
    );
    const body = chunked(pieces, content);
    const listening = relayed(t, kit, { framing: Framing.chunked, body }, 0);
    t.ok(listening.spliceCount > 0, 'long chunks are spliced');
    const apart = { framing: Framing.chunked, isUnchunked: true, body, passed: content };
    t.ok(relayed(t, kit, apart, 0).spliceCount > 0, 'taken apart, too');
  });
}

/** Chunks without end, as fast as anybody reads them. */
class Torrent {
  static readonly chunkBytes = 2 ** 20;
  private static readonly line = Buffer.from(`${Torrent.chunkBytes.toString(16)}\r\n`);
  private static readonly period = Torrent.line.length + Torrent.chunkBytes + 2;
  private at = 0;

  constructor(private readonly memory: NativeMemory) {}

  read(address: number, length: number): number {
    const { bytes } = this.memory;
    const start = address - this.memory.at(0);
    bytes.fill(0x78, start, start + length);
    let begin = start - (this.at % Torrent.period);
    for (; begin < start + length; begin += Torrent.period) {
      for (const [index, byte] of Torrent.line.entries()) {
        if (begin + index >= start && begin + index < start + length) bytes[begin + index] = byte;
      }
      const end = begin + Torrent.period;
      if (end - 2 >= start && end - 2 < start + length) bytes[end - 2] = 13;
      if (end - 1 >= start && end - 1 < start + length) bytes[end - 1] = 10;
    }
    this.at += length;
    return length;
  }

  spliceTo(pipe: Pipe, length: number): number {
    this.at += length;
    pipe.bytes += length;
    return length;
  }
}

socketTest('relay: chunks without end have their turn, and no more', async (t, kit) => {
  const rig = new PumpRig(kit);
  const { kernel, pipes, buffers: copies, clock, meter } = rig;
  const buffers = new HttpBuffers(8192);
  const room = { worker: { kernel, pipes, buffers: copies, clock }, buffers };
  const relay = new BodyRelay(room as unknown as HttpRoom, meter, meter);
  const sample = buffers.takeBuffer();
  const torrent = new Torrent(sample);
  buffers.give(sample);
  const source = {
    readable: true,
    bulkReadBytes: Number.POSITIVE_INFINITY,
    read: (address: number, length: number) => torrent.read(address, length),
    spliceTo: (pipe: Pipe, length: number) => torrent.spliceTo(pipe, length),
  };
  let passed = 0;
  const sink = {
    writable: true,
    write(_address: number, length: number): number {
      passed += length;
      return length;
    },
    spliceFrom(pipe: Pipe): number {
      const { bytes } = pipe;
      pipe.bytes = 0;
      passed += bytes;
      return bytes;
    },
  };
  relay.begin(Framing.chunked, 0);
  const side = (transport: unknown) => ({ transport: transport as Transport, tls: undefined });
  relay.join(side(source), side(sink));
  for (let turn = 1; turn <= 3; turn++) {
    const before = passed;
    t.equal(relay.run(), RelayResult.Yielded);
    t.ok(passed - before >= TURN_BYTES_MAX);
    t.ok(passed - before <= TURN_BYTES_MAX + 2 * Torrent.chunkBytes, `${passed - before} bytes`);
  }
  t.ok(meter[PumpSlot.SpliceBytes]! > passed / 2);
  relay.release();
  t.equal(buffers.inUse, 0);
  t.same(rig.finish(), nothingTaken);
});
