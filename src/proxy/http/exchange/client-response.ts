import {
  copyBytes,
  type LateSender,
  LateWrite,
  type NativeMemory,
  Outcome,
  type Transport,
} from '../../../splice/index.js';
import type { PathTaken } from '../../flow/index.js';
import type { HttpPolicy } from '../http-policy.js';
import type { HttpRoom } from '../http-room.js';
import type { HttpRoute } from '../http-route.js';
import type { Intake } from '../intake.js';
import { Framing, HttpRejection, Method } from '../message/index.js';
import { ConnectionLine, type ResponseNotes } from '../rewriting/index.js';
import { BodyRelay, type RelaySide } from './body-relay.js';
import type { BodySource, ReadyAnswer } from './body-source.js';
import { RelayResult } from './relay-result.js';
import { ResponseReader } from './response-reader.js';

/** RFC 9110 §9.3.6: no framing of any kind; the tunnel begins behind it. */
const ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n', 'latin1');

/** Whose response it is. */
export interface ResponseOwner {
  afterResponse(result: RelayResult): void;
  onException(error: unknown): void;
}

/** A response on its way from an endpoint to the client, or an answer of our own. */
export class ClientResponse implements LateSender {
  readonly body: BodyRelay;
  /** 0 before there is one. */
  status = 0;
  /** The connection to the client may carry another request. */
  keepsClient = false;
  /** As soon as the response is out the client is told the end: its last bytes may wait for that, and go in one segment. */
  endsClient = false;
  /** Bytes of the heads that are, or were, for the client. */
  headBytes = 0;
  rejection: HttpRejection | undefined;
  /** Of the request. */
  method: Method = Method.other;
  /** The client knows neither chunks nor informational responses. */
  private isOldClient = false;
  private route: HttpRoute | undefined;
  private notes: ResponseNotes | undefined;
  /** What makes the body of an answer of our own; nothing where it was there with the head. */
  private source: BodySource | undefined;
  /** Bytes that the source put right behind the head. */
  private filledBytes = 0;
  /** Bytes that the client's socket took at once. */
  private directBytes = 0;
  private client!: Transport;
  readonly reader: ResponseReader;
  /** Who hears what came of a response that was sent late. */
  owner!: ResponseOwner;
  private readonly late: LateWrite = new LateWrite(this);
  /** What is sent late. */
  private lateMemory: NativeMemory | undefined;
  private lateStart = 0;

  constructor(private readonly room: HttpRoom) {
    this.reader = new ResponseReader(room);
    const { down, secureDown } = room.worker.counters;
    this.body = new BodyRelay(room, down, secureDown);
  }

  /** What came of the response and was not used yet. */
  private get intake(): Intake {
    return this.reader.intake;
  }

  /** Begins with another request, whose head was parsed last. */
  begin(): void {
    const { request } = this.room;
    this.reader.begin();
    this.status = 0;
    this.headBytes = 0;
    this.endsClient = false;
    this.rejection = undefined;
    this.directBytes = 0;
    this.filledBytes = 0;
    this.body.handedBytes = 0;
    this.method = request.method;
    this.isOldClient = request.minorVersion === 0;
    this.keepsClient = request.keepAlive;
  }

  /** The request goes to an endpoint: notes what the answer will need of it. */
  prepare(route: HttpRoute, policy: HttpPolicy): void {
    const { writer, buffers } = this.room;
    this.route = route;
    this.notes = route.response.prepare(policy, writer.beginIn(buffers.output));
  }

  /** Bytes of it that went to the client, heads and body. */
  get bytes(): number {
    const { source } = this;
    const produced = source === undefined ? 0 : source.bytes - this.filledBytes;
    return this.directBytes + this.body.takenBytes + produced;
  }

  /** Bytes that went to the client behind the heads: of the body, its chunks included. */
  get bodyBytes(): number {
    return Math.max(0, this.bytes - this.headBytes);
  }

  /** Which way the body went; without a response it is still that of the exchange before. */
  get path(): PathTaken {
    if (this.status === 0) return 'none';
    return this.source === undefined ? this.body.path : this.source.path;
  }

  /** Its body is made here. */
  get isProduced(): boolean {
    return this.source !== undefined;
  }

  /** {@link push} may have something for the client that needs nobody else. */
  get isPending(): boolean {
    return this.body.isHolding || this.source !== undefined;
  }

  /** There are bytes behind the response. */
  get hasSurplus(): boolean {
    return this.intake.length > 0 || this.intake.isAhead || this.body.hasSurplus;
  }

  /**
   * Sends the head that was parsed last, and what is there of the body, to the client.
   *
   * @param isRequestOver nothing of the request is to come, or to be sent
   * @param mayKeep as far as the request and the proxy are concerned, the connection may be kept
   * @returns Malformed without anything sent, SinkFailed, Ended, or Waiting: more goes by {@link push}
   */
  send(
    client: RelaySide,
    upstream: RelaySide,
    isRequestOver: boolean,
    mayKeep: boolean,
  ): RelayResult {
    const { intake, body, room } = this;
    const head = room.response;
    const isTunnel = head.framing === Framing.tunnel;
    const isUnchunked = this.isOldClient && head.framing === Framing.chunked;
    const endsByClose = isUnchunked || head.framing === Framing.until_close;
    if (!mayKeep || endsByClose) this.keepsClient = false;
    this.endsClient = !this.keepsClient && isRequestOver && !isTunnel && client.tls === undefined;
    this.status = head.status;
    const line = isTunnel ? ConnectionLine.upgrade : this.connectionLine;
    const headBytes = this.writeHead(line, this.isOldClient, this.notes);
    intake.consume(head.end - intake.start);
    body.begin(head.framing, head.contentLength, isUnchunked, this.route!.response.lostTrailers);
    body.join(upstream, client);
    const bodyStart = intake.start;
    const taken = isTunnel ? intake.length : body.admit(intake.buffer!, bodyStart, intake.end);
    if (taken < 0) this.rejection = -taken as HttpRejection;
    if (headBytes < 0) this.rejection = HttpRejection.head_too_large;
    if (taken < 0 || headBytes < 0) return RelayResult.Malformed;
    const bodyBytes = isTunnel ? taken : body.admitted;
    intake.consume(taken);
    return this.deliver(client.transport, headBytes, bodyStart, bodyBytes);
  }

  /**
   * Sends an informational head (RFC 9110 §15.2), which HTTP/1.0 does not know; the response is still
   * to come.
   * @returns as {@link send}
   */
  sendInterim(client: RelaySide): RelayResult {
    const { intake, room } = this;
    const length = this.isOldClient ? 0 : this.writeHead(ConnectionLine.none, false);
    intake.consume(room.response.end - intake.start);
    if (length <= 0) return length === 0 ? RelayResult.Ended : RelayResult.Malformed;
    this.body.begin(Framing.none, 0);
    this.body.join(client, client);
    const { output } = room.buffers;
    return this.sendFrom(client.transport, output, output.start, length);
  }

  /** The request is a CONNECT. */
  get isConnect(): boolean {
    return this.method === Method.CONNECT;
  }

  /** Tells the client that its tunnel is there. */
  sendEstablished(client: RelaySide): RelayResult {
    const memory = this.room.buffers.takeFor(ESTABLISHED.length);
    ESTABLISHED.copy(memory.bytes, memory.start);
    return this.sendOwn(client, 200, memory, ESTABLISHED.length, 0);
  }

  /**
   * Sends an answer of our own.
   *
   * @param memory it begins with the answer, and is the response's to give back
   * @param headBytes of its head
   * @param bodyBytes of what is there behind that
   * @param source what makes the rest; the response releases it
   */
  sendOwn(
    client: RelaySide,
    status: number,
    memory: NativeMemory,
    headBytes: number,
    bodyBytes: number,
    source?: BodySource,
  ): RelayResult {
    const { body } = this;
    const { start } = memory;
    const length = headBytes + bodyBytes;
    const end = start + length;
    this.status = status;
    this.headBytes += headBytes;
    this.source = source;
    this.client = client.transport;
    const filled = source === undefined ? 0 : source.fill(memory, end);
    const isOpen = source?.isPending || this.endsClient;
    this.filledBytes = filled;
    body.begin(Framing.none, 0);
    body.join(client, client);
    body.countCopied(length + filled);
    body.hold(memory, start, end + filled, true, isOpen);
    return this.push();
  }

  /**
   * Sends an answer of our own that stays where it is.
   * @param source what makes the rest; the response releases it
   */
  sendReady(client: RelaySide, answer: ReadyAnswer, source?: BodySource): RelayResult {
    const { body } = this;
    const { status, memory, start, headBytes, bodyBytes } = answer;
    this.status = status;
    this.headBytes += headBytes;
    body.begin(Framing.none, 0);
    body.join(client, client);
    body.bytes = bodyBytes;
    this.source = source;
    this.client = client.transport;
    const isOpen = source !== undefined || this.endsClient;
    const result = this.sendFrom(client.transport, memory, start, headBytes + bodyBytes, isOpen);
    return result === RelayResult.Ended && source !== undefined
      ? source.run(client.transport)
      : result;
  }

  /** Sends what can be sent now. */
  push(): RelayResult {
    const { body, source } = this;
    if (this.late.isPending) return RelayResult.Waiting;
    if (source === undefined) return body.run();
    const result = body.isOver ? RelayResult.Ended : body.run();
    return result === RelayResult.Ended ? source.run(this.client) : result;
  }

  /** Gives back what is held. */
  release(): void {
    this.late.withdraw();
    if (this.lateMemory !== undefined) this.room.buffers.give(this.lateMemory);
    this.lateMemory = undefined;
    this.source?.release();
    this.source = undefined;
    this.body.release();
    this.intake.release();
  }

  /** What the client is told about its connection. */
  get connectionLine(): ConnectionLine {
    if (!this.keepsClient) return ConnectionLine.close;
    return this.isOldClient ? ConnectionLine.keep_alive : ConnectionLine.none;
  }

  /** @returns bytes of the head as the client gets it, −1 when it is too long */
  private writeHead(
    connection: ConnectionLine,
    dropsChunked: boolean,
    notes?: ResponseNotes,
  ): number {
    const { room } = this;
    const writer = room.writer.beginIn(room.buffers.output);
    this.route!.response.write(room.response, { connection, dropsChunked }, writer, notes);
    if (writer.isFull) return -1;
    this.headBytes += writer.length;
    return writer.length;
  }

  private deliver(
    client: Transport,
    headBytes: number,
    bodyStart: number,
    bodyBytes: number,
  ): RelayResult {
    const { intake } = this;
    const { output } = this.room.buffers;
    const isOpen = this.endsClient && this.body.isRead;
    if (bodyBytes === 0) return this.sendFrom(client, output, output.start, headBytes, isOpen);
    const buffer = intake.buffer!;
    const start = bodyStart - headBytes;
    if (start < buffer.start) return this.deliverApart(headBytes, bodyStart, bodyBytes);
    // The head goes right before the body, over the one that came: one piece, one system call.
    copyBytes(output.bytes, output.start, output.start + headBytes, buffer.bytes, start);
    const total = headBytes + bodyBytes;
    this.body.countCopied(total);
    if (this.sendLate(client, start, total, isOpen)) return RelayResult.Waiting;
    const written = this.write(client, buffer.at(start), total, isOpen);
    if (written === Outcome.Failed) return RelayResult.SinkFailed;
    if (written === total) return this.sent();
    // What is behind the body would be lost with the buffer.
    if (intake.length > 0) this.body.hasSurplus = true;
    this.body.hold(intake.surrender(), start + written, start + total, true, isOpen);
    return RelayResult.Waiting;
  }

  /** All of it is there, in the intake's buffer: it may go out with what others send. @returns false unless it will */
  private sendLate(client: Transport, start: number, length: number, isOpen: boolean): boolean {
    const { intake, body, late } = this;
    if (isOpen || !body.isRead || body.isHolding || intake.length > 0) return false;
    if (this.room.response.framing === Framing.tunnel) return false;
    const { calls } = this.room.worker.clock;
    if (!late.offer(calls, client, intake.buffer!.at(start), length)) return false;
    this.lateMemory = intake.surrender();
    this.lateStart = start;
    return true;
  }

  onSent(written: number): void {
    const { body, lateMemory, lateStart, late } = this;
    if (written > 0) this.directBytes += written;
    if (written === late.length) {
      this.room.buffers.give(lateMemory!);
      this.lateMemory = undefined;
      body.isOver = true;
      this.owner.afterResponse(RelayResult.Ended);
      return;
    }
    this.lateMemory = undefined;
    body.hold(lateMemory!, lateStart + Math.max(0, written), lateStart + late.length, true);
    if (written === Outcome.Failed) this.owner.afterResponse(RelayResult.SinkFailed);
  }

  onException(error: unknown): void {
    this.owner.onException(error);
  }

  /** The head grew so much that there is no room for it before the body. */
  private deliverApart(headBytes: number, bodyStart: number, bodyBytes: number): RelayResult {
    const { buffers } = this.room;
    const { output } = buffers;
    const total = headBytes + bodyBytes;
    this.body.countCopied(total);
    const memory = buffers.takeFor(total);
    const { bytes, start } = memory;
    const from = this.intake.buffer!.bytes;
    copyBytes(output.bytes, output.start, output.start + headBytes, bytes, start);
    copyBytes(from, bodyStart, bodyStart + bodyBytes, bytes, start + headBytes);
    this.body.hold(memory, start, start + total, true);
    return this.body.run();
  }

  /**
   * Sends what others will need the memory of: what the client does not take at once is copied.
   * @param start in the source's `bytes`
   * @param isOpen more follows at once
   */
  private sendFrom(
    client: Transport,
    source: NativeMemory,
    start: number,
    length: number,
    isOpen = false,
  ): RelayResult {
    this.body.countCopied(length);
    const written = this.write(client, source.at(start), length, isOpen);
    if (written === Outcome.Failed) return RelayResult.SinkFailed;
    if (written === length) return this.sent();
    const memory = this.room.buffers.takeFor(length - written);
    const end = memory.start + length - written;
    copyBytes(source.bytes, start + written, start + length, memory.bytes, memory.start);
    this.body.hold(memory, memory.start, end, true, isOpen);
    return RelayResult.Waiting;
  }

  private sent(): RelayResult {
    this.intake.settle();
    if (!this.body.isRead) return RelayResult.Waiting;
    this.body.isOver = true;
    return RelayResult.Ended;
  }

  /** @returns bytes written, 0 for none now, or Failed */
  private write(client: Transport, address: number, length: number, isOpen = false): number {
    if (!client.writable || this.body.isHolding) return 0;
    const written = client.write(address, length, isOpen);
    if (written > 0) this.directBytes += written;
    return written === Outcome.Blocked ? 0 : written;
  }
}
