import { Outcome, PumpSlot } from '../../../splice/index.js';
import type { CloseReason } from '../../counters.js';
import { isSecurePath } from '../../tls-side.js';
import type { HttpGate } from '../http-gate.js';
import { Intake } from '../intake.js';
import { type Refused, refusedLine } from '../logging/index.js';
import { type HttpRejection, isEmptyLines, Method, PARTIAL } from '../message/index.js';
import type { HttpConnection } from './connection.js';
import { ConnectionState } from './connection-state.js';

const HEAD_END = '\r\n\r\n';
/** Draining, a quiet client is waited for so long: its next request may be on the way. */
const DRAIN_GRACE_MS = 500;

/**
 * Takes the heads of requests from a client's connection, one after the other, and knows how long each is
 * waited for.
 */
export class RequestReader {
  /** What came of the client and was not used yet. */
  readonly intake: Intake;
  private isServing = false;
  /** Requests so far. */
  requests = 0;
  /** When the wait for a head began, or, once a part of it is there, for the rest. */
  waitingSinceMs: number;
  /** When the first byte of the present head came; nothing before it has. */
  private beganMs: number | undefined;

  constructor(
    private readonly connection: HttpConnection,
    private readonly gate: HttpGate,
  ) {
    this.intake = new Intake(gate.room.buffers);
    this.waitingSinceMs = connection.startedMs;
  }

  /** A part of a head is there. */
  get hasPartialHead(): boolean {
    return this.intake.length > 0;
  }

  /** The first head may come. @param sinceMs when the wait for it began */
  begin(sinceMs: number): void {
    const { connection } = this;
    this.waitingSinceMs = sinceMs;
    connection.expectBy(sinceMs + connection.worker.timeouts.headMs);
  }

  /** The last request is answered; another one may come. */
  again(): void {
    const { connection } = this;
    const { clock, timeouts } = connection.worker;
    this.waitingSinceMs = clock.nowMs;
    if (connection.isLast) this.drain();
    else connection.expectBy(clock.nowMs + timeouts.keepAliveMs);
  }

  /** The proxy is stopping: whoever says nothing now is waited for no longer than a moment. */
  drain(): void {
    const { connection, hasPartialHead } = this;
    if (!hasPartialHead) connection.expectBy(connection.worker.clock.nowMs + DRAIN_GRACE_MS);
  }

  /** Takes requests for as long as there are some and none is under way. */
  serve(): void {
    // An answer that is given at once leads here again: pipelined ones would nest.
    if (this.isServing) return;
    this.isServing = true;
    try {
      while (this.connection.state === ConnectionState.reading && this.readHead()) {}
    } finally {
      this.isServing = false;
    }
    this.connection.listenAgain();
  }

  /** The time is up, or it was when the timer was set. */
  onTimer(): void {
    const { connection } = this;
    // What came this very moment counts: its event is not here yet.
    if (connection.isLast) this.serve();
    if (connection.state !== ConnectionState.reading) return;
    const { requests, hasPartialHead } = this;
    const { clock, timeouts, isDraining } = connection.worker;
    const isIdle = requests > 0 && !hasPartialHead;
    const patienceMs = isIdle ? timeouts.keepAliveMs : timeouts.headMs;
    const deadlineMs = this.waitingSinceMs + patienceMs;
    if (isIdle && connection.isLast) connection.finish(true);
    else if (!hasPartialHead && isDraining) connection.terminate('drained');
    else if (clock.nowMs < deadlineMs) clock.wheel.schedule(connection.timer, deadlineMs);
    else if (hasPartialHead) this.refuse(408, undefined, 'head_timeout');
    else connection.terminate(isIdle ? 'done' : 'head_timeout');
  }

  /** @returns false when there is nothing more to be had now */
  private readHead(): boolean {
    const { intake, connection } = this;
    const { transport } = connection;
    if (intake.length === intake.seenBytes) {
      const read = transport.readable ? intake.fill(transport) : Outcome.Blocked;
      if (read <= 0) return this.nothingRead(read);
    }
    const { bytes } = intake.buffer!;
    const { start, end, seenBytes } = intake;
    const result = this.gate.room.request.parse(bytes, start, end, seenBytes);
    if (result === PARTIAL) {
      if (isEmptyLines(bytes, start, end)) {
        intake.consume(end - start);
        this.beganMs = undefined;
        return true;
      }
      if (seenBytes === 0) this.headBegins();
      intake.seenBytes = end - start;
      return true;
    }
    if (result < 0) {
      const rejection = -result as HttpRejection;
      this.refuse(connection.reject(rejection), rejection);
    } else {
      this.requests++;
      const beganMs = this.beganMs ?? connection.worker.clock.nowMs;
      this.beganMs = undefined;
      connection.exchangeBegins(beganMs);
      intake.settle();
    }
    return true;
  }

  private headBegins(): void {
    const { connection } = this;
    const { clock, timeouts } = connection.worker;
    this.beganMs = clock.nowMs;
    if (this.requests > 0) this.waitingSinceMs = clock.nowMs;
    connection.expectBy(this.waitingSinceMs + timeouts.headMs);
    connection.askForRest();
  }

  private nothingRead(outcome: number): boolean {
    const { connection, intake } = this;
    if (outcome === Outcome.Blocked) {
      intake.settle();
      return false;
    }
    if (outcome === Outcome.Eof) {
      if (this.hasPartialHead) this.tell({ status: 0, bytes: 0, bodyBytes: 0 });
      connection.finish(true);
    } else {
      connection.terminate('client_reset');
    }
    return false;
  }

  /** The connection is cut off: tells of the head that is there in part. */
  cutOff(close: CloseReason): void {
    if (this.hasPartialHead) this.tell({ status: 0, bytes: 0, bodyBytes: 0, close });
  }

  /** Answers what is no request, and ends. */
  private refuse(status: number, rejection?: HttpRejection, reason?: CloseReason): void {
    const { gate, connection } = this;
    const { transport } = connection;
    const { buffers, errors: ours } = gate.room;
    const { output } = buffers;
    const errors = gate.service?.errors ?? ours;
    // RFC 9110 §9.3.2: whatever is wrong with a HEAD, who has sent it reads no body. What is not whole says nothing yet.
    const isHead = rejection !== undefined && gate.room.request.method === Method.HEAD;
    const answer = errors.render({ status, isHead }, Date.now());
    answer.copy(output.bytes, output.start);
    // Nothing else is on its way: the socket takes so little, or is dead.
    const written = transport.writable ? transport.write(output.address, answer.length) : 0;
    const bytes = Math.max(0, written);
    const { down, secureDown } = connection.worker.counters;
    const meter = isSecurePath(undefined, connection.tls) ? secureDown : down;
    meter[PumpSlot.CopyBytes]! += bytes;
    meter[PumpSlot.CopyOperations]!++;
    const bodyBytes = Math.max(0, bytes - answer.indexOf(HEAD_END) - HEAD_END.length);
    this.tell({ status, rejection, bytes, bodyBytes, close: reason });
    connection.finish(false, reason);
  }

  /** Tells of what was no request. */
  private tell(refused: Omit<Refused, 'sinceMs'>): void {
    const { connection, intake } = this;
    const sinceMs = this.beganMs ?? connection.worker.clock.nowMs;
    connection.countRefused(intake.length, refused.bytes);
    refusedLine(connection, intake, { ...refused, sinceMs });
  }
}
