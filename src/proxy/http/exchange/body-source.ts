import type { NativeMemory, Transport } from '../../../splice/index.js';
import type { PathTaken } from '../../flow/index.js';
import type { HeadWriter } from '../message/index.js';
import type { ConnectionLine, RequestContext } from '../rewriting/index.js';
import type { RelayResult } from './relay-result.js';

/** An answer of our own whose body is made while it is sent. */
export interface ProducedAnswer {
  readonly status: number;
  /** What follows the head; nothing where nothing does, as for HEAD. It is the answer's to release. */
  readonly body: BodySource | undefined;
  /**
   * Writes the head, from its status line to the empty line.
   *
   * @param connection what the client is told about its connection
   * @param nowMs wall-clock time for Date, ms since 1970
   */
  writeHead(
    context: RequestContext,
    connection: ConnectionLine,
    nowMs: number,
    out: HeadWriter,
  ): void;
}

/** An answer of our own that is there for one client after the other: all of it, or its head. */
export interface ReadyAnswer {
  readonly status: number;
  /** What is in it from `start` on is the head, and the body if it is there. It is not the client's to keep. */
  readonly memory: NativeMemory;
  readonly start: number;
  readonly headBytes: number;
  /** Bytes of the body that are there. */
  readonly bodyBytes: number;
  /** Sees to it that the head is what this client is to be told; the parameters are as for {@link ProducedAnswer}. */
  prepare(context: RequestContext, connection: ConnectionLine, nowMs: number): void;
}

/** The body of one answer, made here over time: a file's, for one. Its length is in the head. */
export interface BodySource {
  /** Bytes handed to the client so far, those of {@link fill} included. */
  readonly bytes: number;
  /** Which way they went. */
  readonly path: PathTaken;
  /** Bytes follow those that {@link fill} has put there, as soon as the client's socket takes them. */
  readonly isPending: boolean;
  /**
   * Puts the first bytes right behind the head, where one system call sends both. Called once, before
   * {@link run}, which goes on behind them.
   *
   * @param start where in the memory's `bytes` the head ends; up to the memory's end they are free
   * @returns how many were put there; 0 for none
   */
  fill(memory: NativeMemory, start: number): number;
  /**
   * Sends what can be sent now. Called after everything before it has gone, when the client's socket may
   * have room, and each turn after Yielded.
   *
   * @returns Waiting for room in the socket, Yielded, Ended when all of it has gone, SourceFailed when the
   *   rest cannot be had, SinkFailed
   */
  run(client: Transport): RelayResult;
  /** Gives back what it holds, whether it has ended or not. Called once, last. */
  release(): void;
}
