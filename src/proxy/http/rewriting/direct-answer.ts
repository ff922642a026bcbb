import type { HeaderEditsSnapshot, RedirectSnapshot, RespondSnapshot } from '../http-snapshot.js';
import { type HeadWriter, httpDate, Method, reasonPhrase } from '../message/index.js';
import type { RequestContext } from './request-context.js';
import { type ConnectionLine, connectionLines, hstsLine } from './response-rewriter.js';
import { FieldLines } from './template.js';

const CRLF = Buffer.from('\r\n', 'latin1');

/** The answer of a route that needs no upstream: `respond` or `redirect`. */
export class DirectAnswer {
  readonly status: number;
  private readonly statusLine: Buffer;
  private readonly fields: FieldLines;
  private readonly lengthLine: Buffer;
  private readonly body: Buffer;
  private readonly hstsLine: Buffer;

  /** @param hsts value of Strict-Transport-Security, for requests by HTTPS */
  constructor(
    action: RedirectSnapshot | RespondSnapshot,
    { set, add }: HeaderEditsSnapshot,
    hsts: string | null,
  ) {
    const { status } = action;
    const isRedirect = action.kind === 'redirect';
    this.status = status;
    this.statusLine = Buffer.from(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\nDate: `, 'latin1');
    // RFC 9110 §6.4.1: these have no content, and say nothing of its length.
    const isBare = status === 204 || status === 304;
    this.body = Buffer.from(isRedirect || isBare ? '' : action.body);
    const own = isRedirect ? [{ name: 'Location', value: action.to }] : action.headers;
    const isReplaced = (name: string) => set.some((one) => one.name.toLowerCase() === name);
    const fields = [...own.filter(({ name }) => !isReplaced(name.toLowerCase())), ...set, ...add];
    const isTyped = fields.some(({ name }) => name.toLowerCase() === 'content-type');
    const type = { name: 'Content-Type', value: ['text/plain; charset=utf-8'] };
    const isUntyped = this.body.length > 0 && !isTyped;
    this.fields = new FieldLines(isUntyped ? [type, ...fields] : fields);
    this.hstsLine = hstsLine(hsts);
    this.lengthLine = Buffer.from(
      isBare ? '' : `Content-Length: ${this.body.length}\r\n`,
      'latin1',
    );
  }

  /** Bytes of the content that is sent with the head; 0 for HEAD. */
  bodyBytes({ head }: RequestContext): number {
    return head.method === Method.HEAD ? 0 : this.body.length;
  }

  /**
   * Writes the whole response, content included.
   *
   * @param connection what the client is told about its connection
   * @param nowMs wall-clock time for Date, ms since 1970
   */
  write(context: RequestContext, connection: ConnectionLine, nowMs: number, out: HeadWriter): void {
    out.literal(this.statusLine);
    out.text(httpDate(nowMs));
    out.literal(CRLF);
    this.fields.write(context, out);
    if (context.client.scheme === 'https') out.literal(this.hstsLine);
    out.literal(this.lengthLine);
    out.literal(connectionLines[connection]!);
    out.literal(CRLF);
    if (context.head.method !== Method.HEAD) out.literal(this.body);
  }
}
