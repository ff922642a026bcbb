import { Errno, Outcome } from '../../splice/index.js';
import { TicketOutcome } from '../sessions/index.js';
import { TlsEnding } from './tls-ending.js';
import type { ReadingHalf, WritingHalf } from './tls-halves.js';
import type { UserlandTlsTransport } from './userland-transport.js';

/** The receiving direction of a connection that sends through the kernel. */
export class OpenSslReader implements ReadingHalf {
  readonly ticketOutcome = TicketOutcome.NotAwaited;

  constructor(private readonly userland: UserlandTlsTransport) {}

  get readable(): boolean {
    return this.userland.readable;
  }

  set readable(is: boolean) {
    this.userland.readable = is;
  }

  get errno(): number {
    return this.userland.errno;
  }

  get bulkReadBytes(): number {
    return this.userland.bulkReadBytes;
  }

  get ending(): TlsEnding {
    return this.userland.ending;
  }

  get failure(): string | undefined {
    return this.userland.failure;
  }

  notice(events: number): void {
    this.userland.notice(events);
  }

  read(address: number, length: number): number {
    return this.userland.read(address, length);
  }

  spliceTo(): number {
    return this.userland.spliceTo();
  }

  release(): void {
    this.userland.release();
  }
}

/** The sending direction of a connection that receives through the kernel. */
export class OpenSslWriter implements WritingHalf {
  readonly ending = TlsEnding.None;
  /** OpenSSL's state is of no use any more, because the peer is gone or has been told so. */
  private isSilent = false;
  private ownErrno = 0;

  constructor(private readonly userland: UserlandTlsTransport) {}

  get writable(): boolean {
    return this.userland.writable;
  }

  set writable(is: boolean) {
    this.userland.writable = is;
  }

  get errno(): number {
    return this.ownErrno || this.userland.errno;
  }

  get isClosing(): boolean {
    return this.userland.isClosing;
  }

  notice(events: number): void {
    this.userland.notice(events);
  }

  write(address: number, length: number): number {
    if (this.isSilent) {
      this.ownErrno = Errno.EPIPE;
      return Outcome.Failed;
    }
    return this.userland.write(address, length);
  }

  sendFile(): number {
    return this.userland.sendFile();
  }

  spliceFrom(): number {
    return this.userland.spliceFrom();
  }

  shutdownWrite(): number {
    return this.userland.shutdownWrite();
  }

  end(): void {
    if (!this.isSilent) this.userland.shutdownWrite();
  }

  /** OpenSSL has no call that sends an alert: the connection ends without one. */
  alert(): void {
    this.isSilent = true;
  }

  silence(): void {
    this.isSilent = true;
  }

  /** Sending goes on with the key there is: OpenSSL minds its limits itself. */
  renewKey(): number {
    return 0;
  }

  release(): void {
    this.userland.release();
  }
}
