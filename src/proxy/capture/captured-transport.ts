import { type LateCloses, NativeMemory, type Pipe, type Transport } from '../../splice/index.js';
import { CLIENT, UPSTREAM } from './capture-terms.js';
import type { FlowCapture } from './flow-capture.js';

/** What is read to be thrown away is shown first. */
const DISCARD_BYTES = 16 * 1024;
let discarded: NativeMemory | undefined;

/**
 * A client's transport that shows what passes to a capture: what was read from the client, and what was written
 * to it. It stands where the plaintext is, so that one place sees heads, bodies, answers of our own and tunnels
 * alike, however they were moved.
 */
export class CapturedTransport implements Transport {
  /** Bytes at the front of a pipe, or of what is copied out of it, that were shown before they were written. */
  private aheadBytes = 0;

  constructor(
    private readonly inner: Transport,
    private readonly capture: FlowCapture,
  ) {}

  get fd(): number {
    return this.inner.fd;
  }

  get readable(): boolean {
    return this.inner.readable;
  }

  set readable(is: boolean) {
    this.inner.readable = is;
  }

  get writable(): boolean {
    return this.inner.writable;
  }

  set writable(is: boolean) {
    this.inner.writable = is;
  }

  get errno(): number {
    return this.inner.errno;
  }

  set errno(errno: number) {
    this.inner.errno = errno;
  }

  get bulkReadBytes(): number {
    return this.inner.bulkReadBytes;
  }

  get hasReadAll(): boolean {
    return this.inner.hasReadAll;
  }

  get isClosing(): boolean {
    return this.inner.isClosing;
  }

  read(address: number, length: number): number {
    const read = this.inner.read(address, length);
    if (read > 0) this.capture.copied(CLIENT, address, read);
    return read;
  }

  discard(length: number): number {
    discarded ??= new NativeMemory(DISCARD_BYTES);
    return this.read(discarded.address, Math.min(length, DISCARD_BYTES));
  }

  write(address: number, length: number, more?: boolean): number {
    const written = this.inner.write(address, length, more);
    if (written <= 0) return written;
    const shown = Math.min(written, this.aheadBytes);
    this.aheadBytes -= shown;
    if (shown < written) this.capture.copied(UPSTREAM, address + shown, written - shown);
    return written;
  }

  sendFile(file: number, offset: number, length: number): number {
    const sent = this.inner.sendFile(file, offset, length);
    if (sent > 0) this.capture.sent(UPSTREAM, file, offset, sent);
    return sent;
  }

  spliceTo(pipe: Pipe, length: number): number {
    const moved = this.inner.spliceTo(pipe, length);
    if (moved > 0) this.capture.spliced(CLIENT, pipe, moved);
    return moved;
  }

  spliceFrom(pipe: Pipe, more: boolean): number {
    // Afterwards they are gone. tee(2) begins at the first byte, so the pipe is shown once, whole.
    if (this.aheadBytes === 0) {
      this.aheadBytes = pipe.bytes;
      this.capture.spliced(UPSTREAM, pipe, pipe.bytes);
    }
    const moved = this.inner.spliceFrom(pipe, more);
    if (moved > 0) this.aheadBytes -= moved;
    return moved;
  }

  shutdownWrite(): number {
    return this.inner.shutdownWrite();
  }

  notice(events: number): void {
    this.inner.notice(events);
  }

  close(late?: LateCloses): void {
    this.inner.close(late);
  }

  reset(): void {
    this.inner.reset();
  }
}
