import type { FilesRoute } from '../../files/index.js';
import { isSecurePath } from '../../tls-side.js';
import type { HttpRoom } from '../http-room.js';
import { Method } from '../message/index.js';
import type { BodySource, ProducedAnswer, ReadyAnswer } from './body-source.js';
import type { Exchange } from './exchange.js';
import { ExchangeState } from './exchange-state.js';
import type { RelayResult } from './relay-result.js';

const HEAD_END = '\r\n\r\n';
/** What an answer of ours may be longer than its body and the request's head, of which it may say parts again. */
const ANSWER_HEAD_BYTES = 8 * 1024;

/**
 * The answers an exchange gets from us: errors, what its route says, what its route makes over time. There
 * is no endpoint, or none any more.
 */
export class LocalAnswer {
  constructor(
    private readonly room: HttpRoom,
    private readonly exchange: Exchange,
  ) {}

  /** Answers without an upstream, while the request's head is there. @param fields whole lines */
  refuse(status: number, fields = ''): void {
    this.error(status, fields, this.room.request.accept);
  }

  /** Answers in the place of an endpoint. @param fields whole lines */
  replace(status: number, fields = ''): void {
    this.error(status, fields, this.exchange.request.accept());
  }

  /** Answers as the route says, while the request's head is there. */
  direct(): void {
    const { room, exchange } = this;
    const { buffers, writer } = room;
    const { connection, response } = exchange;
    const { policy } = connection.service;
    const { wallMs } = room.worker.clock;
    const answer = policy.answer!;
    this.begin();
    const bodyBytes = answer.bodyBytes(policy);
    const memory = buffers.takeFor(bodyBytes + this.headBytes);
    answer.write(policy, response.connectionLine, wallMs, writer.beginIn(memory));
    if (writer.isFull) {
      buffers.give(memory);
      exchange.afterResponse(this.sendError(500, '', undefined));
      return;
    }
    const headBytes = writer.length - bodyBytes;
    const { status } = answer;
    exchange.afterResponse(response.sendOwn(connection, status, memory, headBytes, bodyBytes));
  }

  /** Answers with a body that is made while it is sent, while the request's head is there. */
  produce(answer: ProducedAnswer): void {
    const { room, exchange } = this;
    const { buffers, writer } = room;
    const { connection, response } = exchange;
    const { body } = answer;
    const { wallMs } = room.worker.clock;
    this.begin();
    const memory = buffers.takeFor(this.headBytes);
    const line = response.connectionLine;
    answer.writeHead(connection.service.policy, line, wallMs, writer.beginIn(memory));
    if (writer.isFull) {
      buffers.give(memory);
      body?.release();
      exchange.afterResponse(this.sendError(500, '', undefined));
      return;
    }
    const { length } = writer;
    exchange.afterResponse(response.sendOwn(connection, answer.status, memory, length, 0, body));
  }

  /** Answers with what is there already, while the request's head is there. @param source what makes the rest */
  repeat(answer: ReadyAnswer, source: BodySource | undefined): void {
    const { connection, response } = this.exchange;
    this.begin();
    const { wallMs } = connection.worker.clock;
    answer.prepare(connection.service.policy, response.connectionLine, wallMs);
    this.exchange.afterResponse(response.sendReady(connection, answer, source));
  }

  /** Answers with a file, or says why there is none, while the request's head is there. */
  withFile(files: FilesRoute): void {
    const { service, tls } = this.exchange.connection;
    const answer = files.answer(service.policy, isSecurePath(undefined, tls));
    if (typeof answer === 'number') this.refuse(answer, files.refusalFields);
    else if (answer.prepared !== undefined) this.repeat(answer.prepared, answer.body);
    else this.produce(answer);
  }

  /** Room for the head of an answer to the request that is there. */
  private get headBytes(): number {
    const { start, fieldsEnd } = this.room.request;
    return ANSWER_HEAD_BYTES + fieldsEnd - start;
  }

  private error(status: number, fields: string, accept: string | undefined): void {
    const { connection, response } = this.exchange;
    // A part of an informational response has gone out: nothing but its rest may follow.
    if (response.body.isHolding) {
      connection.terminate('upstream_reset');
      return;
    }
    this.begin();
    this.exchange.afterResponse(this.sendError(status, fields, accept));
  }

  private begin(): void {
    const { connection, request, response, link, record, patience } = this.exchange;
    link.giveUp();
    response.release();
    this.exchange.enter(ExchangeState.answering);
    record.answered(this.room.worker.clock.nowMs);
    if (!request.body.isRead || connection.isLast) response.keepsClient = false;
    response.endsClient = !response.keepsClient && connection.tls === undefined;
    request.release();
    patience.stopExpecting();
    connection.keepTime();
  }

  private sendError(status: number, fields: string, accept: string | undefined): RelayResult {
    const { connection, response } = this.exchange;
    const { buffers } = this.room;
    const errors = connection.service.errors ?? this.room.errors;
    const { keepsClient: keepAlive, method } = response;
    const isHead = method === Method.HEAD;
    const answer = errors.render({ status, accept, isHead, keepAlive, fields }, Date.now());
    const memory = buffers.takeFor(answer.length);
    answer.copy(memory.bytes, memory.start);
    const headBytes = answer.indexOf(HEAD_END) + HEAD_END.length;
    return response.sendOwn(connection, status, memory, headBytes, answer.length - headBytes);
  }
}
