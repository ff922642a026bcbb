import type { BodySource, ProducedAnswer } from '../http/exchange/index.js';
import { type HeadWriter, httpDate, reasonPhrase } from '../http/message/index.js';
import {
  type ConnectionLine,
  connectionLines,
  type FieldLines,
  type RequestContext,
} from '../http/rewriting/index.js';
import type { PreparedFile } from './prepared-file.js';

const CRLF = Buffer.from('\r\n', 'latin1');

const statusLines = new Map<number, Buffer>();

function statusLine(status: number): Buffer {
  let line = statusLines.get(status);
  if (line === undefined) {
    line = Buffer.from(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\nDate: `, 'latin1');
    statusLines.set(status, line);
  }
  return line;
}

/** What a route adds to its answers, whatever they are. */
export interface AnswerFields {
  readonly fields: FieldLines;
  /** Bytes of them all, where they are always the same. */
  readonly bytes: number | undefined;
  /** Strict-Transport-Security, for requests by HTTPS. */
  readonly hsts: Buffer;
}

/**
 * An answer of a route that serves files. One object per worker: an answer is written at once, and what is left
 * of it then is its body.
 */
export class FileAnswer implements ProducedAnswer {
  status = 200;
  body: BodySource | undefined;
  /** The head, where it is in memory; without another body the content is there, too. */
  prepared: PreparedFile | undefined;
  private lines!: Buffer;
  private own!: AnswerFields;

  /** @param lines of the head: all but Date, Connection and what the route adds */
  begin(status: number, lines: Buffer, own: AnswerFields, body: BodySource | undefined): this {
    this.status = status;
    this.lines = lines;
    this.own = own;
    this.body = body;
    this.prepared = undefined;
    return this;
  }

  writeHead(
    context: RequestContext,
    connection: ConnectionLine,
    nowMs: number,
    out: HeadWriter,
  ): void {
    out.literal(statusLine(this.status));
    out.text(httpDate(nowMs));
    out.literal(CRLF);
    out.literal(this.lines);
    this.own.fields.write(context, out);
    if (context.client.scheme === 'https') out.literal(this.own.hsts);
    out.literal(connectionLines[connection]!);
    out.literal(CRLF);
  }
}
