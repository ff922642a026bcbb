import {
  type NativeMemory,
  Outcome,
  Pump,
  type PumpMeter,
  PumpResult,
  PumpSlot,
  type PumpTap,
  type Transport,
  TURN_BYTES_MAX,
  TURN_READ_BYTES,
} from '../../../splice/index.js';
import type { PathTaken } from '../../flow/index.js';
import { isSecurePath, type TlsSide } from '../../tls-side.js';
import type { HttpRoom } from '../http-room.js';
import type { Intake } from '../intake.js';
import { ChunkScanner, Framing, HttpRejection, TrailerNames } from '../message/index.js';
import { type ChunkSieve, DataSieve } from './chunk-sieve.js';
import { RelayResult } from './relay-result.js';
import { TrailerSieve } from './trailer-sieve.js';

/** So many bytes without framing, behind a read that filled its buffer, are spliced; docs/benchmarks.md has why. */
const LONG_STRETCH_BYTES = 64 * 1024;

const nowhere = Number.POSITIVE_INFINITY;

/** A connection as a body needs it. */
export interface RelaySide {
  readonly transport: Transport;
  /** Where there is TLS. */
  readonly tls: TlsSide | undefined;
}

/**
 * The body of one message on its way from one connection to the other.
 *
 * ```
 *            ┌──────────────────────────────────────────────────────────┐
 *            ▼                                                          │
 *   held ──▶ pumped: a stretch of known length, or up to the end        │
 *     ▲  └─▶ chunked: read, scanned, passed on as it is ──▶ held        │
 *     │                  └──▶ much of a chunk waits: it is a stretch ───┘
 *     └── bytes that came with the head, or that the sink did not take
 * ```
 *
 * Chunked bodies keep their chunks, unless the sink is a client of HTTP/1.0, which knows none. It owns
 * memory only while bytes wait for the sink.
 */
export class BodyRelay {
  /** Every byte has been handed to the sink, or there is none. */
  isOver = true;
  /** Something was read from the source: the body cannot be sent a second time. */
  hasRead = false;
  /** Bytes of the body, framing included, that came from the source. */
  bytes = 0;
  rejection: HttpRejection | undefined;
  /** Bytes given to the pump, or taken by the sink, since somebody last set this to 0. */
  handedBytes = 0;
  /** The sink took nothing for a while, since somebody last set this to false. */
  wasBlocked = false;
  /** Chunks may add up to so many bytes; who knows the length beforehand looks at that. */
  bytesMax = nowhere;
  /** Sees the body's bytes as they are passed on, with what is admitted from now on, until the body has ended. */
  tap: PumpTap | undefined;
  /** Where bytes behind the body go; without it there must be none. */
  surplus: Intake | undefined;
  /** Trailer fields that its chunks must not end with. */
  trailers = TrailerNames.usual;
  private framing: Framing = Framing.none;
  /** What chunks pass; nothing where they stay as they are. */
  private sieve: ChunkSieve | undefined;
  private trailerSieve: TrailerSieve | undefined;
  private source!: Transport;
  private sink!: Transport;
  private readonly scanner = new ChunkScanner();
  private readonly dataSieve = new DataSieve(this.scanner);
  private pump: Pump | undefined;
  /** Bytes that the pump may still move, without anybody looking at them. */
  private stretch = 0;
  /** The last read filled its buffer. */
  private wasFull = false;
  private held: NativeMemory | undefined;
  private heldStart = 0;
  private heldEnd = 0;
  /** The memory is this relay's to give back. */
  private ownsHeld = false;
  /** More follows, by somebody else's hand. */
  private isHeldOpen = false;
  /** Where bytes are counted that go between the two connections. */
  private meter: PumpMeter;
  /** The bytes pass OpenSSL in userland. */
  private isSecure = false;

  /**
   * @param plainMeter of its direction
   * @param secureMeter the same for bytes that pass OpenSSL in userland
   */
  constructor(
    private readonly room: HttpRoom,
    private readonly plainMeter: PumpMeter,
    private readonly secureMeter: PumpMeter,
  ) {
    this.meter = plainMeter;
  }

  /** Bytes were read that the sink has not taken. */
  get isHolding(): boolean {
    return this.held !== undefined || (this.pump?.isHolding ?? false);
  }

  /** Bytes that were read and that nobody would ever use: what came behind the body. */
  hasSurplus = false;

  /**
   * Begins with another body. What came with the head is {@link admit}ted next.
   * @param length of a body with Content-Length
   * @param isUnchunked take chunks apart
   * @param lostTrailers fields that chunks lose on the way; none as a rule
   */
  begin(framing: Framing, length: number, isUnchunked = false, lostTrailers?: TrailerNames): void {
    this.framing = framing;
    this.isOver = false;
    this.hasRead = false;
    this.hasSurplus = false;
    this.wasBlocked = false;
    this.bytes = 0;
    this.rejection = undefined;
    this.bytesMax = nowhere;
    this.pump = undefined;
    this.wasFull = false;
    switch (framing) {
      case Framing.length:
        this.stretch = length;
        return;
      case Framing.until_close:
        this.stretch = nowhere;
        return;
      case Framing.chunked:
        this.scanner.begin(this.trailers);
        this.sieve = isUnchunked ? this.dataSieve : this.sieveOf(lostTrailers);
        this.stretch = 0;
        return;
      default:
        this.stretch = 0;
    }
  }

  /** Its chunks add up to more than {@link bytesMax}. */
  get isTooLong(): boolean {
    return this.framing === Framing.chunked && this.scanner.bodyBytes > this.bytesMax;
  }

  /** The body's bytes have all been read; some may wait for the sink. Not of one that was rejected: with it went what was behind. */
  get isRead(): boolean {
    if (this.framing !== Framing.chunked) return this.stretch === 0;
    return this.scanner.isDone && this.rejection === undefined;
  }

  /**
   * Looks at the next bytes of the stream, which were read elsewhere.
   *
   * @returns how many of them belong to the body, or a negative rejection. Those to be passed on are the
   *   first {@link admitted}.
   */
  admit(memory: NativeMemory, start: number, end: number): number {
    const { bytes } = memory;
    this.wasFull = end === memory.end;
    let taken: number;
    if (this.framing === Framing.chunked) {
      const { sieve, scanner } = this;
      taken = sieve === undefined ? scanner.scan(bytes, start, end) : sieve.take(bytes, start, end);
      if (taken >= 0 && this.isTooLong) taken = -HttpRejection.content_length_too_large;
      if (taken < 0) {
        this.rejection = -taken as HttpRejection;
        return taken;
      }
      this.admitted = sieve === undefined ? taken : sieve.passed;
      const { dataBytes } = scanner;
      this.stretch = this.wasFull && dataBytes >= LONG_STRETCH_BYTES ? dataBytes : 0;
    } else {
      taken = Math.min(end - start, this.stretch);
      this.stretch -= taken;
      this.admitted = taken;
    }
    this.bytes += taken;
    if (this.admitted > 0) this.tap?.copied(memory.at(start), this.admitted);
    return taken;
  }

  /** Bytes to be passed on of those that {@link admit} took last. */
  admitted = 0;

  /**
   * The sink could not be given these; they come before anything else.
   *
   * @param isOwn the memory goes back to its pool afterwards
   * @param isOpen bytes follow that are not this relay's, at once: the sink may wait for them
   */
  hold(memory: NativeMemory, start: number, end: number, isOwn: boolean, isOpen = false): void {
    this.isHeldOpen = isOpen;
    this.held = memory;
    this.heldStart = start;
    this.heldEnd = end;
    this.ownsHeld = isOwn;
  }

  /** Bytes that the sink has taken since {@link handedBytes} was 0. */
  get takenBytes(): number {
    return this.handedBytes - (this.pump?.heldBytes ?? 0);
  }

  /** Says between which connections the bytes go. */
  join(source: RelaySide, sink: RelaySide): void {
    this.source = source.transport;
    this.sink = sink.transport;
    this.isSecure = isSecurePath(source.tls, sink.tls);
    this.meter = this.isSecure ? this.secureMeter : this.plainMeter;
    this.pump = undefined;
  }

  /** Counts bytes that are copied to the sink, now or as soon as there is room: a head, what came with it. */
  countCopied(bytes: number): void {
    this.meter[PumpSlot.CopyBytes]! += bytes;
    this.meter[PumpSlot.CopyOperations]!++;
  }

  /** True while {@link run} might do something; false saves the call. */
  get isDue(): boolean {
    return !this.isOver && (this.isHolding || this.source.readable);
  }

  /** Moves what can be moved now. Call it when either side became ready. */
  run(): RelayResult {
    let budget = TURN_BYTES_MAX;
    for (;;) {
      if (this.held !== undefined) {
        const result = this.deliver();
        if (result !== RelayResult.Ended) return result;
      }
      if (this.stretch > 0 || this.pump?.isHolding) {
        const { bytes } = this;
        const result = this.runPump();
        if (result !== RelayResult.Ended) return result;
        budget -= this.bytes - bytes;
      }
      if (this.isRead) {
        this.isOver = true;
        this.endTap(true);
        return RelayResult.Ended;
      }
      if (!this.source.readable) return RelayResult.Waiting;
      if (budget <= 0) return RelayResult.Yielded;
      const read = this.readChunks();
      if (read < 0) return read === FAILED ? RelayResult.SourceFailed : RelayResult.Malformed;
      if (read === 0) return RelayResult.Waiting;
      budget -= read < TURN_READ_BYTES ? TURN_READ_BYTES : read;
    }
  }

  /** Which way the bytes went so far. */
  get path(): PathTaken {
    const { pump, bytes } = this;
    if (bytes === 0) return 'none';
    if (this.isSecure) return 'userland_tls';
    if (pump === undefined || pump.splicedBytes === 0) return 'copy';
    return pump.splicedBytes === bytes ? 'splice' : 'mixed';
  }

  /** Begins anew with the same body, of which nothing but what is held has been passed on. */
  rewind(): void {
    this.drop();
    this.isOver = false;
  }

  /** Gives back what is held. The relay must {@link begin} anew. */
  release(): void {
    this.drop();
    this.handedBytes = this.takenBytes;
    this.pump?.release();
    this.trailerSieve?.release();
    this.pump = undefined;
    this.endTap(false);
    this.isOver = true;
  }

  private sieveOf(trailers: TrailerNames | undefined): TrailerSieve | undefined {
    if (trailers === undefined) return undefined;
    this.trailerSieve ??= new TrailerSieve(this.scanner, this.room.buffers);
    this.trailerSieve.begin(trailers);
    return this.trailerSieve;
  }

  private endTap(isWhole: boolean): void {
    const { tap } = this;
    this.tap = undefined;
    tap?.ended?.(isWhole);
  }

  private deliver(): RelayResult {
    if (!this.sink.writable) return RelayResult.Waiting;
    const held = this.held!;
    do {
      const length = this.heldEnd - this.heldStart;
      const written = this.sink.write(held.at(this.heldStart), length, this.isHeldOpen);
      if (written > 0) this.handedBytes += written;
      if (written === length) {
        this.drop();
        return RelayResult.Ended;
      }
      if (written > 0) this.heldStart += written;
      else if (written !== Outcome.Blocked) return RelayResult.SinkFailed;
    } while (this.sink.writable);
    this.wasBlocked = true;
    this.meter[PumpSlot.SinkBlocked]!++;
    return RelayResult.Waiting;
  }

  /** @returns Ended when the stretch is over and delivered */
  private runPump(): RelayResult {
    this.pump ??= new Pump(this.room.worker, this.meter, this.source, this.sink);
    const { pump } = this;
    if (this.wasFull && this.stretch >= LONG_STRETCH_BYTES && !this.isSecure) pump.expectMuch();
    this.wasFull = false;
    pump.remainingBytes = this.stretch;
    pump.tap = this.tap;
    const before = pump.copiedBytes + pump.splicedBytes;
    const result = pump.run();
    const moved = pump.copiedBytes + pump.splicedBytes - before;
    if (moved > 0) {
      this.hasRead = true;
      this.bytes += moved;
      this.handedBytes += moved;
      this.stretch -= moved;
      if (this.framing === Framing.chunked) this.scanner.skip(moved);
    }
    switch (result) {
      case PumpResult.Waiting:
        // An empty socket: the next bytes may be few, with framing among them.
        if (pump.isHolding) this.wasBlocked = true;
        else if (this.framing === Framing.chunked) this.stretch = 0;
        return RelayResult.Waiting;
      case PumpResult.Yielded:
        return RelayResult.Yielded;
      case PumpResult.SourceFailed:
        return RelayResult.SourceFailed;
      case PumpResult.SinkFailed:
        return RelayResult.SinkFailed;
      case PumpResult.Ended:
        if (!pump.sourceEnded) return RelayResult.Ended;
        if (this.framing !== Framing.until_close) return RelayResult.SourceFailed;
        this.stretch = 0;
        return RelayResult.Ended;
    }
  }

  /** @returns bytes read, 0 for none now, a negative number for a rejection or FAILED */
  private readChunks(): number {
    const { buffers } = this.room;
    const buffer = buffers.takeBuffer();
    const start = buffers.readStart(buffer);
    const read = this.source.read(buffer.at(start), buffer.end - start);
    if (read <= 0) {
      buffers.give(buffer);
      if (read !== Outcome.Blocked) return FAILED;
      this.meter[PumpSlot.SourceBlocked]!++;
      return 0;
    }
    this.hasRead = true;
    this.countCopied(read);
    const taken = this.admit(buffer, start, start + read);
    if (taken < 0) {
      buffers.give(buffer);
      return taken;
    }
    if (taken < read) this.putAside(buffer.bytes, start + taken, start + read);
    if (this.admitted > 0) this.hold(buffer, start, start + this.admitted, true);
    else buffers.give(buffer);
    this.trailerSieve?.handTo(this);
    return read;
  }

  private putAside(bytes: Buffer, start: number, end: number): void {
    if (this.surplus === undefined) this.hasSurplus = true;
    else this.surplus.put(bytes, start, end);
  }

  /** Forgets what the sink was not given. */
  drop(): void {
    if (this.held !== undefined && this.ownsHeld) this.room.buffers.give(this.held);
    this.held = undefined;
  }
}

/** Below every rejection. */
const FAILED = -1000;
