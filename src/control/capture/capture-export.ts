import { closeSync, openSync, readSync } from 'node:fs';
import type { CaptureDirection } from '../../proxy/index.js';
import { copyFile, createKernel, type FileCopied } from '../../splice/index.js';
import { capturePath } from './capture-files.js';
import { packetAddresses } from './packet-address.js';
import { PcapngBlocks } from './pcapng.js';
import { chunksOf, type StoredCapture } from './stored-capture.js';
import { type Sender, TcpFlag, TcpSegments } from './tcp-segments.js';

/** Of Ethernet: what packets of the Internet have. */
const MTU = 1500;
/** Any number would do; those that have wrapped around are recognised by it. */
const FIRST_SEQUENCE = 0x10000000;
const READ_BYTES = 256 * 1024;

/** How a connection ends whose end nobody has to guess. */
const ORDERLY = new Set(['done', 'idle_timeout', 'drained']);

/**
 * Copies the bytes of one direction into a file, without reading them where the kernel can do that: by reference where
 * the file system shares blocks.
 *
 * @param to an empty file, open for writing
 * @returns what was copied, or a negative error number
 */
export function exportRaw(
  { directory, head }: StoredCapture,
  direction: CaptureDirection,
  to: number,
): FileCopied | number {
  const from = openSync(capturePath(directory, head.id, direction), 'r');
  try {
    return copyFile(createKernel(), from, to);
  } finally {
    closeSync(from);
  }
}

/** The bytes of one direction, as they are asked for. */
export function* rawBytes(
  { directory, head }: StoredCapture,
  direction: CaptureDirection,
): Generator<Buffer> {
  const fd = openSync(capturePath(directory, head.id, direction), 'r');
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafe(READ_BYTES);
      const read = readSync(fd, buffer, 0, READ_BYTES, null);
      if (read === 0) return;
      yield buffer.subarray(0, read);
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * A capture as a pcapng file of one TCP connection between the client and the address it connected to: the handshake, every
 * chunk in segments with the time it had, an acknowledgement for each, and the end, if it was seen. Buffers are handed out
 * as they are asked for.
 *
 * @param directions whose chunks are in it
 */
export function* pcapngBytes(
  capture: StoredCapture,
  directions: readonly CaptureDirection[],
): Generator<Buffer> {
  const blocks = new PcapngBlocks();
  const conversation = new Conversation(capture, blocks);
  try {
    conversation.begin();
    for (const { direction, timeUs, bytes } of chunksOf(capture)) {
      if (!directions.includes(direction)) continue;
      for (let left = bytes; left > 0; ) {
        left -= conversation.segment(direction, timeUs, left);
        yield* blocks.take();
      }
      conversation.acknowledge(direction, timeUs);
    }
    conversation.end();
    yield* blocks.finish();
  } finally {
    conversation.close();
  }
}

class Conversation {
  private readonly segments: TcpSegments;
  private readonly senders: Record<CaptureDirection, Sender>;
  private readonly files: Partial<Record<CaptureDirection, number>> = {};
  private readonly startUs: number;

  constructor(
    private readonly capture: StoredCapture,
    private readonly blocks: PcapngBlocks,
  ) {
    const { head } = capture;
    const { client, local } = packetAddresses(head);
    const rest = { sequence: FIRST_SEQUENCE, identification: 0 };
    this.senders = {
      client: { address: client, ...rest },
      upstream: { address: local, ...rest },
    };
    this.segments = new TcpSegments(blocks, this.senders.client, MTU);
    this.startUs = Date.parse(head.start) * 1000;
  }

  begin(): void {
    const { startUs } = this;
    const { client, upstream } = this.senders;
    const { head, end, state } = this.capture;
    const missing = state === 'complete' ? '' : `; ${state}: ${end?.incomplete ?? 'no end'}`;
    this.blocks.section('headgate', `capture ${head.id} of ${head.listener}${missing}`);
    this.blocks.interface(head.listener);
    this.segments.put(startUs, client, upstream, TcpFlag.SYN);
    this.segments.put(startUs, upstream, client, TcpFlag.SYN | TcpFlag.ACK);
    this.segments.put(startUs, client, upstream, TcpFlag.ACK);
  }

  /** @returns bytes of the segment, at most `left` */
  segment(direction: CaptureDirection, timeUs: number, left: number): number {
    const length = Math.min(left, this.segments.segmentBytesMax);
    const flags = length === left ? TcpFlag.ACK | TcpFlag.PSH : TcpFlag.ACK;
    const from = this.senders[direction];
    const to = this.other(direction);
    this.segments.put(this.startUs + timeUs, from, to, flags, length, (payload) =>
      this.read(direction, payload),
    );
    return length;
  }

  acknowledge(direction: CaptureDirection, timeUs: number): void {
    const from = this.other(direction);
    this.segments.put(this.startUs + timeUs, from, this.senders[direction], TcpFlag.ACK);
  }

  /** What was captured whole has an end; of the rest nobody knows. */
  end(): void {
    const { capture, startUs, senders } = this;
    const { client, upstream } = senders;
    const { end } = capture;
    if (end === undefined || end.incomplete !== undefined) return;
    const timeUs = startUs + end.duration_us;
    if (!ORDERLY.has(end.close ?? '')) {
      this.segments.put(timeUs, upstream, client, TcpFlag.RST | TcpFlag.ACK);
      return;
    }
    this.segments.put(timeUs, client, upstream, TcpFlag.FIN | TcpFlag.ACK);
    this.segments.put(timeUs, upstream, client, TcpFlag.FIN | TcpFlag.ACK);
    this.segments.put(timeUs, client, upstream, TcpFlag.ACK);
  }

  close(): void {
    for (const fd of Object.values(this.files)) closeSync(fd);
  }

  private other(direction: CaptureDirection): Sender {
    return this.senders[direction === 'client' ? 'upstream' : 'client'];
  }

  private read(direction: CaptureDirection, payload: Buffer): void {
    const { directory, head } = this.capture;
    this.files[direction] ??= openSync(capturePath(directory, head.id, direction), 'r');
    for (let done = 0; done < payload.length; ) {
      const read = readSync(this.files[direction], payload, done, payload.length - done, null);
      if (read === 0) throw new Error(`${head.id}: its bytes have become fewer`);
      done += read;
    }
  }
}
