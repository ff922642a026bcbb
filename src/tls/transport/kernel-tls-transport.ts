import { type Kernel, Outcome, type Pipe, readAndDrop, resetSocket } from '../../splice/index.js';
import type { TicketOutcome } from '../sessions/index.js';
import { endingFailure, TlsEnding } from './tls-ending.js';
import type { ReadingHalf, WritingHalf } from './tls-halves.js';
import type { TlsTransport } from './tls-transport.js';

/**
 * A TLS connection of which the kernel has at least one direction. The halves know of each other only
 * what the one has to answer to the other.
 *
 * ```
 *   read, spliceTo    ◀── KernelTlsReader │ OpenSslReader ◀──┐
 *                                                            ├── one socket
 *   write, spliceFrom ──▶ KernelTlsWriter │ OpenSslWriter ──▶┘
 * ```
 */
export class KernelTlsTransport implements TlsTransport {
  errno = 0;
  readonly bulkReadBytes: number;
  readonly hasReadAll = false;

  /** @param fd a connected TCP socket; this object closes it */
  constructor(
    private readonly kernel: Kernel,
    readonly fd: number,
    private readonly reader: ReadingHalf,
    private readonly writer: WritingHalf,
  ) {
    this.bulkReadBytes = reader.bulkReadBytes;
  }

  get readable(): boolean {
    return this.reader.readable;
  }

  set readable(is: boolean) {
    this.reader.readable = is;
  }

  get writable(): boolean {
    return this.writer.writable;
  }

  set writable(is: boolean) {
    this.writer.writable = is;
  }

  get isClosing(): boolean {
    return this.writer.isClosing;
  }

  get ending(): TlsEnding {
    const { reader, writer } = this;
    return reader.ending === TlsEnding.None ? writer.ending : reader.ending;
  }

  get failure(): string | undefined {
    return this.reader.failure ?? endingFailure(this.ending);
  }

  get ticketOutcome(): TicketOutcome {
    return this.reader.ticketOutcome;
  }

  get isTruncated(): boolean {
    return this.reader.ending === TlsEnding.Truncated;
  }

  notice(events: number): void {
    this.reader.notice(events);
    this.writer.notice(events);
  }

  read(address: number, length: number): number {
    const result = this.reader.read(address, length);
    if (result <= Outcome.NotSpliceable) this.errno = this.reader.errno;
    return result;
  }

  discard(length: number): number {
    return readAndDrop(this, length);
  }

  write(address: number, length: number, more = false): number {
    const result = this.writer.write(address, length, more);
    if (result <= Outcome.NotSpliceable) this.errno = this.writer.errno;
    return result;
  }

  sendFile(file: number, offset: number, length: number): number {
    const result = this.writer.sendFile(file, offset, length);
    if (result <= Outcome.NotSpliceable) this.errno = this.writer.errno;
    return result;
  }

  spliceTo(pipe: Pipe, length: number): number {
    const result = this.reader.spliceTo(pipe, length);
    if (result <= Outcome.NotSpliceable) this.errno = this.reader.errno;
    return result;
  }

  spliceFrom(pipe: Pipe, more: boolean): number {
    const result = this.writer.spliceFrom(pipe, more);
    if (result <= Outcome.NotSpliceable) this.errno = this.writer.errno;
    return result;
  }

  shutdownWrite(): number {
    const result = this.writer.shutdownWrite();
    if (result !== 0) this.errno = this.writer.errno;
    return result;
  }

  close(): void {
    this.writer.end();
    this.release();
    this.kernel.close(this.fd);
  }

  reset(): void {
    this.release();
    resetSocket(this.kernel, this.fd);
  }

  private release(): void {
    this.reader.release();
    this.writer.release();
  }
}
