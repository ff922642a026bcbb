import type { HeadWriter } from '../head-writer.js';
import { HeaderName } from '../header-name.js';
import type { HttpRouteSnapshot } from '../http-snapshot.js';
import type { ResponseHead } from '../response-head.js';
import { FieldFilter } from './field-filter.js';
import type { RequestContext } from './request-context.js';
import { FieldLines } from './template.js';

const CRLF = Buffer.from('\r\n', 'latin1');
const VERSION = Buffer.from('HTTP/1.1', 'latin1');

const hopByHop = [
  HeaderName.connection,
  HeaderName.keep_alive,
  HeaderName.proxy_connection,
  HeaderName.proxy_authenticate,
  HeaderName.proxy_authorization,
  HeaderName.te,
];

/** What the client is told about its connection. */
export const ConnectionLine = {
  /** Nothing: HTTP/1.1 goes on. */
  none: 0,
  close: 1,
  /** A client of HTTP/1.0 has asked for it. */
  keep_alive: 2,
  /** The response is a 101. */
  upgrade: 3,
} as const;
export type ConnectionLine = (typeof ConnectionLine)[keyof typeof ConnectionLine];

/** By {@link ConnectionLine}. */
export const connectionLines: readonly Buffer[] = ['', 'close', 'keep-alive', 'upgrade'].map(
  (option) => Buffer.from(option === '' ? '' : `Connection: ${option}\r\n`, 'latin1'),
);

/** What is to become of a response besides what its route says. */
export interface ResponseDelivery {
  readonly connection: ConnectionLine;
  /** The body goes on without chunks: the client's HTTP/1.0 does not know them. */
  readonly dropsChunked: boolean;
}

const NO_FIELDS = Buffer.alloc(0);

/** Writes responses for clients, as one route wants them. */
export class ResponseRewriter {
  private readonly filter: FieldFilter;
  private readonly drops: Uint8Array;
  private readonly fields: FieldLines;

  constructor({ responseHeaders }: HttpRouteSnapshot) {
    this.filter = new FieldFilter(responseHeaders);
    this.drops = this.filter.known.slice();
    for (const id of hopByHop) this.drops[id] = 1;
    this.fields = new FieldLines([...responseHeaders.set, ...responseHeaders.add]);
  }

  /**
   * The lines that will be added to the response, made while the request is there to be asked.
   * @param scratch room for them in between
   */
  prepare(context: RequestContext, scratch: HeadWriter): Buffer {
    return this.fields.bytes(context, scratch);
  }

  /**
   * Writes the whole head, its empty line included.
   * @param added what {@link prepare} has made; nothing is added to interim responses
   */
  write(
    head: ResponseHead,
    delivery: ResponseDelivery,
    out: HeadWriter,
    added: Buffer = NO_FIELDS,
  ): void {
    const { bytes } = head;
    let from = head.start;
    if (head.minorVersion !== 1) {
      out.literal(VERSION);
      from += VERSION.length;
    }
    for (let index = 0; index < head.count; index++) {
      const id = head.id(index);
      const isDropped =
        id === HeaderName.other
          ? this.filter.drops(head, index) || head.isHopByHop(index)
          : this.drops[id] === 1 || dropsKnown(head, index, id, delivery);
      if (!isDropped) continue;
      const lineAt = head.lineStart(index);
      if (lineAt > from) out.copy(bytes, from, lineAt);
      from = head.lineEnd(index);
    }
    if (head.fieldsEnd > from) out.copy(bytes, from, head.fieldsEnd);
    if (!head.isInterim) {
      out.literal(connectionLines[delivery.connection]!);
      out.literal(added);
    }
    out.literal(CRLF);
  }
}

function dropsKnown(
  head: ResponseHead,
  index: number,
  id: HeaderName,
  { connection, dropsChunked }: ResponseDelivery,
): boolean {
  switch (id) {
    case HeaderName.upgrade:
      return connection !== ConnectionLine.upgrade;
    case HeaderName.transfer_encoding:
      return dropsChunked;
    default:
      return head.isHopByHop(index);
  }
}
