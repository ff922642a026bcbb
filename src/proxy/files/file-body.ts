import {
  adviseFile,
  getOption,
  type NativeMemory,
  Outcome,
  PumpSlot,
  SocketOption,
  type Transport,
} from '../../splice/index.js';
import { Counter } from '../counters.js';
import type { PathTaken } from '../flow/index.js';
import { type BodySource, RelayResult } from '../http/exchange/index.js';
import type { WorkerRoom } from '../room.js';
import type { ByteRange } from './byte-ranges.js';
import type { OpenFile } from './open-file.js';

/** Bytes one answer may send before others get their turn. */
const TURN_BYTES = 512 * 1024;
/** Up to so many bytes are read and sent together with the head; docs/benchmarks.md has the measurement. */
const SMALL_BYTES = 16 * 1024;
/** From here on it pays to have the kernel read ahead twice as far. */
const ADVISED_BYTES = 1024 * 1024;
/** From here on a turn is so many full segments: one that is not full at the end of each of many turns is felt. */
const SEGMENTED_BYTES = 4 * 1024 * 1024;

/** A piece of a body: a text, or a part of the file. */
export type Stretch = { readonly text: Buffer } | ByteRange;

const { IPPROTO_TCP, TCP_MAXSEG } = SocketOption;

const none: readonly Stretch[] = [];

/** Whoever keeps bodies that nobody uses. */
export interface BodyKeeper {
  readonly worker: WorkerRoom;
  keep(body: FileBody): void;
}

/**
 * A file, or parts of it, on the way to a client. It owns no memory: where the socket stops taking bytes it notes
 * the offset, and where the page cache cannot be sent as it is (TLS in userland) it reads those bytes again.
 *
 * What is sent is one version of the file: when the socket is full (once a millisecond), and before and after the last word, the file
 * is looked at. One that was written or truncated meanwhile ends the answer as an error. One that was replaced by another of its name
 * is still there for those who have it open. There is no look after an answer that went out in one go: it was looked at
 * in the same turn, what was cut off since then is missing, and what is written later reaches the socket's queue
 * anyway, which has the file's own pages.
 *
 * ```
 *   fill: small? read behind the head ──▶ ended
 *     │ no
 *     ▼
 *   run: sendfile(2) ──▶ ended
 *     │     │ refused: bytes pass OpenSSL
 *     │     ▼
 *     │   pread(2), write ──▶ ended
 *     └── changed ──▶ failed
 * ```
 */
export class FileBody implements BodySource {
  bytes = 0;
  private file!: OpenFile;
  private isSecure = false;
  /** Behind the present stretch. */
  private rest: readonly Stretch[] = none;
  private restAt = 0;
  /** The present stretch, if it is a text. */
  private text: Buffer | undefined;
  /** What is left of the present stretch: bytes [offset, end) of the text or of the file. */
  private offset = 0;
  private end = 0;
  private isCopying = false;
  private hasSentFile = false;
  private hasChanged = false;
  /** All of it was read, and the file was looked at after that. */
  private isRead = false;
  /** It did not all go out in one go. */
  private hasPaused = false;
  /** So long that its turns are full segments. */
  private isLong = false;

  constructor(private readonly keeper: BodyKeeper) {}

  /**
   * Begins with bytes [start, end) of a file.
   *
   * @param file which is held
   * @param isSecure the bytes pass OpenSSL
   */
  begin(file: OpenFile, start: number, end: number, isSecure: boolean): this {
    this.file = file.hold();
    this.bytes = 0;
    this.isSecure = isSecure;
    this.rest = none;
    this.restAt = 0;
    this.text = undefined;
    this.offset = start;
    this.end = end;
    this.isCopying = false;
    this.hasSentFile = false;
    this.hasChanged = false;
    this.isRead = false;
    this.hasPaused = false;
    // OpenSSL's records come between what is read and what segments are.
    this.isLong = !isSecure && end - start >= SEGMENTED_BYTES;
    if (end - start >= ADVISED_BYTES) this.advise();
    return this;
  }

  /** Goes on with these when the present stretch is over. */
  continueWith(stretches: readonly Stretch[]): this {
    this.rest = stretches;
    this.restAt = 0;
    return this;
  }

  get path(): PathTaken {
    if (this.bytes === 0) return 'none';
    if (this.isSecure) return 'userland_tls';
    return this.hasSentFile ? 'sendfile' : 'copy';
  }

  get isPending(): boolean {
    return !this.isRead && !this.hasChanged && (this.offset < this.end || this.rest !== none);
  }

  fill(memory: NativeMemory, start: number): number {
    const wanted = this.end - this.offset;
    const room = Math.min(SMALL_BYTES, memory.end - start);
    if (wanted > room || this.rest !== none) return 0;
    const { kernel } = this.keeper.worker;
    const { fd, stamp } = this.file;
    const read = wanted === 0 ? 0 : kernel.pread(fd, memory.at(start), wanted, this.offset);
    if (read < wanted || !stamp.isOf(kernel, fd)) {
      this.changed();
      return Math.max(0, Math.min(read, wanted));
    }
    this.offset += read;
    this.bytes = read;
    this.isRead = true;
    return read;
  }

  run(client: Transport): RelayResult {
    if (this.isRead) return RelayResult.Ended;
    let budget = this.isLong ? this.fullSegments(client) : TURN_BYTES;
    // Nothing ends in this turn otherwise, and whether it is over is asked again at its end.
    const mayEnd = this.end - this.offset <= budget;
    const { kernel, clock } = this.keeper.worker;
    // Before anything is sent one look a turn is enough, for all who send this file.
    const isKnown = !mayEnd || this.file.isUnchanged(kernel, clock.nowMs);
    if (this.hasChanged || !isKnown) return this.changed();
    for (;;) {
      if (this.offset === this.end && !this.goOn()) {
        if (this.hasPaused && !this.isUnchanged()) return this.changed();
        return RelayResult.Ended;
      }
      if (!client.writable) return this.blocked();
      if (budget <= 0) return this.yielded();
      const sent = this.text === undefined ? this.sendPiece(client, budget) : this.sendText(client);
      if (sent > 0) {
        this.offset += sent;
        this.bytes += sent;
        budget -= sent;
        continue;
      }
      if (sent === Outcome.Blocked) return this.blocked();
      return sent === Outcome.Eof ? this.changed() : RelayResult.SinkFailed;
    }
  }

  release(): void {
    this.file.release();
    this.rest = none;
    this.text = undefined;
    this.keeper.keep(this);
  }

  /** Takes the next stretch. @returns false when there is none */
  private goOn(): boolean {
    const next = this.rest[this.restAt++];
    if (next === undefined) return false;
    if ('text' in next) {
      this.text = next.text;
      this.offset = 0;
      this.end = next.text.length;
    } else {
      this.text = undefined;
      this.offset = next.start;
      this.end = next.end;
    }
    return true;
  }

  /** @returns bytes sent; Eof when the file has them not, any more; Blocked, Failed */
  private sendPiece(client: Transport, most: number): number {
    const { offset } = this;
    const left = this.end - offset;
    if (!this.isCopying) {
      const sent = client.sendFile(this.file.fd, offset, left < most ? left : most);
      if (sent > 0) {
        this.hasSentFile = true;
        this.count(PumpSlot.SendfileBytes, PumpSlot.SendfileOperations, sent);
      }
      if (sent !== Outcome.NotSpliceable) return sent;
      this.isCopying = true;
    }
    const { buffers, kernel } = this.keeper.worker;
    const buffer = buffers.take();
    const length = Math.min(left, buffer.byteLength);
    const read = kernel.pread(this.file.fd, buffer.address, length, offset);
    // An error of the disk is as much an end of what can be had.
    const sent =
      read > 0 ? client.write(buffer.address, read, this.isMoreBehind(read)) : Outcome.Eof;
    buffers.give(buffer);
    if (sent > 0) this.count(PumpSlot.CopyBytes, PumpSlot.CopyOperations, sent);
    return sent;
  }

  private sendText(client: Transport): number {
    const { buffers } = this.keeper.worker;
    const buffer = buffers.take();
    const length = this.text!.copy(buffer.bytes, 0, this.offset, this.end);
    const sent = client.write(buffer.address, length, this.isMoreBehind(length));
    buffers.give(buffer);
    if (sent > 0) this.count(PumpSlot.CopyBytes, PumpSlot.CopyOperations, sent);
    return sent;
  }

  private isMoreBehind(length: number): boolean {
    return this.offset + length < this.end || this.restAt < this.rest.length;
  }

  private count(bytesSlot: number, operationsSlot: number, bytes: number): void {
    const { down, secureDown } = this.keeper.worker.counters;
    const meter = this.isSecure ? secureDown : down;
    meter[bytesSlot]! += bytes;
    meter[operationsSlot]!++;
  }

  /** The socket is full, or the file has become too short, and then no event would ever follow. */
  private blocked(): RelayResult {
    const { kernel, clock, counters } = this.keeper.worker;
    // Looked at once a millisecond: a fast client empties its socket several times meanwhile. The last word has a look of its own.
    if (!this.file.isUnchanged(kernel, clock.nowMs)) return this.changed();
    const { down, secureDown } = counters;
    (this.isSecure ? secureDown : down)[PumpSlot.SinkBlocked]!++;
    this.hasPaused = true;
    return RelayResult.Waiting;
  }

  private yielded(): RelayResult {
    this.hasPaused = true;
    return RelayResult.Yielded;
  }

  /**
   * What a turn ends with is sent as it is, and the next turn begins with a segment of its own. How long segments are
   * changes under way: at first they are no more than half of the client's window.
   * @returns bytes of as many full segments (TCP_MAXSEG, tcp(7)) as fit a turn; where there are none (not TCP) a turn's
   */
  private fullSegments(client: Transport): number {
    const { kernel } = this.keeper.worker;
    const segment = getOption(kernel, client.fd, IPPROTO_TCP, TCP_MAXSEG);
    return segment > 0 && segment <= TURN_BYTES ? TURN_BYTES - (TURN_BYTES % segment) : TURN_BYTES;
  }

  private isUnchanged(): boolean {
    return this.file.stamp.isOf(this.keeper.worker.kernel, this.file.fd);
  }

  private changed(): RelayResult {
    if (!this.hasChanged) {
      this.hasChanged = true;
      this.keeper.worker.counters.values[Counter.files_changed]!++;
    }
    return RelayResult.SourceFailed;
  }

  private advise(): void {
    const { file } = this;
    if (file.isAdvised) return;
    file.isAdvised = true;
    adviseFile(this.keeper.worker.kernel, file.fd, 'sequential');
  }
}
