import { RECORD_BYTES_MAX } from '../protocol/index.js';

/**
 * Until a connection has proved to be a bulk transfer its records are small: a receiver can decrypt
 * nothing before the last segment of a record is there, and a new connection, or one that was quiet,
 * sends but ten segments in the first round trip (RFC 6928). Three segments hold one of these.
 */
const SMALL_RECORD_BYTES = 4096;
const SMALL_RECORDS_BYTES = 32 * 1024;
const QUIET_MS = 1000;

/** How long the records are that a connection sends. */
export class RecordLength {
  /** Written since the connection began, or was quiet. */
  private burstBytes = 0;

  /** @param lastWriteMs the last write to the end, or when the connection began; monotonic milliseconds */
  constructor(private lastWriteMs: number) {}

  /**
   * @param length bytes that are to be written, from 1
   * @returns how many of them go into the next record
   */
  next(length: number, nowMs: number): number {
    if (length <= SMALL_RECORD_BYTES) return length;
    if (nowMs - this.lastWriteMs > QUIET_MS) {
      this.burstBytes = 0;
      this.lastWriteMs = nowMs;
    }
    if (this.burstBytes < SMALL_RECORDS_BYTES) return SMALL_RECORD_BYTES;
    return length < RECORD_BYTES_MAX ? length : RECORD_BYTES_MAX;
  }

  /** A record has been written. */
  wrote(bytes: number): void {
    this.burstBytes += bytes;
  }

  /** All that was to be written has been. */
  done(nowMs: number): void {
    this.lastWriteMs = nowMs;
  }
}
