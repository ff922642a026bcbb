import type { LateCloses } from './batch/index.js';
import type { Pipe } from './pipe.js';

/**
 * What a transport answers besides a number of bytes. All are below 1, so `result > 0` is the
 * question "did bytes move".
 */
export const Outcome = {
  /** The peer has sent everything it will send. */
  Eof: 0,
  /** Not now: an event will say when to try again. */
  Blocked: -1,
  /** This transport cannot splice, now or ever; read and write work. `errno` says what was refused. */
  NotSpliceable: -2,
  /** The connection is broken; `errno` says how. */
  Failed: -3,
} as const;

/**
 * One side of a flow: a connected socket with whatever lies between its bytes and ours. Callers
 * never ask which kind it is.
 *
 * `readable` and `writable` remember readiness between edge-triggered events: an event sets them,
 * and the call that finds nothing left clears them. While one is false the call is not worth
 * making; while it is true it must be made, because no further event is promised.
 *
 * What is at an address is the caller's affair. A length that is negative or no number, such as the outcome of a read
 * that nobody looked at, is a RangeError of {@link PlainTransport}.
 */
export interface Transport {
  readonly fd: number;
  readable: boolean;
  writable: boolean;
  /** Error number of the last `Failed` or `NotSpliceable`, positive; 0 before any. */
  errno: number;
  /**
   * A read that gives as much, or fills its buffer, speaks of a bulk transfer. Where the bytes come
   * in records, that is the largest record.
   */
  readonly bulkReadBytes: number;
  /** Everything up to the end of the peer's stream has been read: the next read is known to say so. */
  readonly hasReadAll: boolean;
  /** The end of our stream waits for room in the socket: to close now would cut it off. */
  readonly isClosing: boolean;

  /**
   * Reads up to `length` bytes to `address`.
   * @returns bytes read, or Eof, Blocked, Failed
   */
  read(address: number, length: number): number;
  /**
   * Reads up to `length` bytes that nobody wants.
   * @param length at most 1 GiB
   * @returns bytes dropped, or Eof, Blocked, Failed
   */
  discard(length: number): number;
  /**
   * Writes up to `length` bytes from `address`.
   * @param more true only while more bytes are known to follow, by this call or another one: they may
   *   share a segment or a record with these. The last ones would wait 200 ms
   * @returns bytes written, or Blocked, Failed
   */
  write(address: number, length: number, more?: boolean): number;
  /**
   * Sends up to `length` bytes of a file from the page cache.
   * @param file a regular one
   * @param offset bytes from its beginning
   * @param length a call that sends less says nothing: only the next one tells whether the socket is full
   * @returns bytes sent; Eof at the file's end, wherever that is by now; Blocked, NotSpliceable, Failed
   */
  sendFile(file: number, offset: number, length: number): number;
  /**
   * Moves up to `length` bytes into an **empty** pipe. With an empty pipe EAGAIN can only mean that
   * the socket has nothing; with bytes in it, it could as well mean that the pipe is full.
   * @returns bytes moved, or Eof, Blocked, NotSpliceable, Failed
   */
  spliceTo(pipe: Pipe, length: number): number;
  /**
   * Moves the pipe's bytes out.
   * @param more true only while more bytes are known to follow: the last ones would wait 200 ms
   * @returns bytes moved, or Blocked, NotSpliceable, Failed
   */
  spliceFrom(pipe: Pipe, more: boolean): number;
  /**
   * Says end of stream to the peer, now or as soon as there is room for saying it; reading goes on.
   * @returns 0, or Failed
   */
  shutdownWrite(): number;
  /** Takes over what epoll reported for the descriptor. */
  notice(events: number): void;
  /**
   * Closes in good order: what was written is still delivered. Once, like `reset`, however often they are called.
   * @param late may close the descriptor together with others
   */
  close(late?: LateCloses): void;
  /** Closes with a reset: the peer sees ECONNRESET, unsent bytes are dropped. */
  reset(): void;
}
