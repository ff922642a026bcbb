import type { HttpRouteSnapshot, HttpSnapshot, StickySnapshot } from '../http-snapshot.js';
import {
  dateLine,
  HeaderName,
  type HeadWriter,
  type ResponseHead,
  SP,
  TrailerNames,
} from '../message/index.js';
import { CookieDomains } from './cookie-domains.js';
import { droppedNames, FieldFilter } from './field-filter.js';
import { LocationRewriter, type Origins } from './location-rewriter.js';
import type { RequestContext } from './request-context.js';
import type { RequestRewriter } from './request-rewriter.js';
import { FieldLines } from './template.js';
import { viaLines } from './via-lines.js';

const SPACE = Buffer.from(' ', 'latin1');
const CRLF = Buffer.from('\r\n', 'latin1');
const HSTS = 'strict-transport-security';
const UPGRADE_REQUIRED = 426;
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

/** The line for a value of Strict-Transport-Security, or nothing. */
export function hstsLine(value: string | null): Buffer {
  return Buffer.from(value === null ? '' : `Strict-Transport-Security: ${value}\r\n`, 'latin1');
}

/** What is kept of a request until its response comes. */
export interface ResponseNotes {
  /** Lines that are added. */
  readonly added: Buffer;
  /** What is said instead of the upstream's own origin; nothing where that is left alone. */
  readonly origins: Origins | undefined;
}

/** What is to become of a response besides what its route says. */
export interface ResponseDelivery {
  readonly connection: ConnectionLine;
  /** The client's HTTP/1.0 knows no chunks: a body goes on without them, and no head speaks of them. */
  readonly dropsChunked: boolean;
}

const NO_NOTES: ResponseNotes = { added: Buffer.alloc(0), origins: undefined };

/** Writes responses for clients, as one route wants them. */
export class ResponseRewriter {
  /** Trailer fields that go no further, as the fields of the head do not; nothing where a route leaves all of them alone. */
  readonly lostTrailers: TrailerNames | undefined;
  private readonly filter: FieldFilter;
  private readonly drops: Uint8Array;
  private readonly fields: FieldLines;
  private readonly hsts: Buffer;
  /** Responses without a Date get one (RFC 9110 §6.6.1), unless the route has its own ideas of that field. */
  private readonly addsDate: boolean;
  private readonly location: LocationRewriter | undefined;
  private readonly cookies: CookieDomains | undefined;
  /** By version of the endpoint. Responses have to have one only where clients have chosen the proxy: a gateway's need not. */
  private readonly vias: readonly [Buffer, Buffer];
  private readonly sticky: StickySnapshot | null | undefined;
  /** What is noted where nothing depends on the request: by plain HTTP and by HTTPS. */
  private readonly notes: ResponseNotes | undefined;
  private readonly secureNotes: ResponseNotes | undefined;

  /** @param request of the same route */
  constructor(
    route: HttpRouteSnapshot,
    { hsts, via, date = false }: HttpSnapshot,
    request: RequestRewriter,
  ) {
    const { responseHeaders, rewrite, prefix, sticky } = route;
    this.sticky = sticky;
    this.vias = viaLines(route.action.kind === 'outbound' ? via : null);
    this.filter = new FieldFilter(responseHeaders);
    this.drops = this.filter.known.slice();
    this.addsDate = date && this.drops[HeaderName.date] !== 1;
    for (const id of hopByHop) this.drops[id] = 1;
    if (hsts !== null) this.drops[HeaderName.strict_transport_security] = 1;
    const names = [...droppedNames(responseHeaders), ...(hsts === null ? [] : [HSTS])];
    if (names.length > 0) this.lostTrailers = new TrailerNames(names, []);
    this.fields = new FieldLines([...responseHeaders.set, ...responseHeaders.add]);
    this.hsts = hstsLine(hsts);
    this.location = rewrite.location ? new LocationRewriter(prefix, request) : undefined;
    this.cookies =
      rewrite.cookieDomains.length > 0 ? new CookieDomains(rewrite.cookieDomains) : undefined;
    const { constant } = this.fields;
    if (constant === undefined || this.location !== undefined) return;
    this.notes = { added: constant, origins: undefined };
    this.secureNotes = { added: Buffer.concat([constant, this.hsts]), origins: undefined };
  }

  /**
   * What the response will need, made while the request is there to be asked.
   * @param scratch room in between
   */
  prepare(context: RequestContext, scratch: HeadWriter): ResponseNotes {
    const isSecure = context.client.scheme === 'https';
    const ready = isSecure ? this.secureNotes : this.notes;
    if (ready !== undefined && !context.isStickyNew) return ready;
    const lines = this.fields.bytes(context, scratch);
    const parts = isSecure ? [lines, this.hsts] : [lines];
    if (context.isStickyNew) parts.push(this.cookieLine(context.stickyValue!, isSecure));
    return {
      added: Buffer.concat(parts),
      origins: this.location?.originsOf(context, scratch),
    };
  }

  /**
   * Writes the whole head, its empty line included.
   * @param notes what {@link prepare} has made; nothing is added to interim responses
   */
  write(
    head: ResponseHead,
    delivery: ResponseDelivery,
    out: HeadWriter,
    notes: ResponseNotes = NO_NOTES,
  ): void {
    const { bytes } = head;
    let from = head.start;
    if (head.minorVersion !== 1) {
      out.literal(VERSION);
      from += VERSION.length;
    }
    // RFC 9112 §4: the space is there even where no reason follows.
    if (bytes[head.reasonStart - 1] !== SP) {
      out.copy(bytes, from, head.reasonStart);
      out.literal(SPACE);
      from = head.reasonStart;
    }
    for (let index = 0; index < head.count; index++) {
      const id = head.id(index);
      const isDropped =
        id === HeaderName.other
          ? this.filter.drops(head, index) || head.isHopByHop(index)
          : this.drops[id] === 1 || dropsKnown(head, index, id, delivery);
      const isRewritten = !isDropped && this.rewrites(id, notes);
      if (!isDropped && !isRewritten) continue;
      const lineAt = head.lineStart(index);
      if (lineAt > from) out.copy(bytes, from, lineAt);
      from = head.lineEnd(index);
      if (isRewritten) this.rewriteLine(head, index, notes, out);
    }
    if (head.fieldsEnd > from) out.copy(bytes, from, head.fieldsEnd);
    out.literal(this.vias[head.minorVersion as 0 | 1]);
    if (!head.isInterim) {
      if (this.addsDate && !head.has(HeaderName.date)) out.literal(dateLine(Date.now()));
      out.literal(connectionLines[delivery.connection]!);
      if (advisesUpgrade(head)) out.literal(connectionLines[ConnectionLine.upgrade]!);
      out.literal(notes.added);
    }
    out.literal(CRLF);
  }

  private cookieLine(value: string, isSecure: boolean): Buffer {
    const { cookie, maxAge } = this.sticky!;
    const age = maxAge === null ? '' : `; Max-Age=${maxAge}`;
    const secure = isSecure ? '; Secure' : '';
    const attributes = `Path=/${age}; HttpOnly; SameSite=Lax${secure}`;
    return Buffer.from(`Set-Cookie: ${cookie}=${value}; ${attributes}\r\n`, 'latin1');
  }

  private rewrites(id: HeaderName, { origins }: ResponseNotes): boolean {
    if (id === HeaderName.location) return origins !== undefined;
    return id === HeaderName.set_cookie && this.cookies !== undefined;
  }

  private rewriteLine(
    head: ResponseHead,
    index: number,
    { origins }: ResponseNotes,
    out: HeadWriter,
  ): void {
    const value = head.value(index);
    out.copy(head.bytes, head.lineStart(index), head.valueStart(index));
    out.text(
      head.id(index) === HeaderName.location
        ? this.location!.rewrite(value, origins!)
        : this.cookies!.rewrite(value),
    );
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
      return connection !== ConnectionLine.upgrade && !advisesUpgrade(head);
    // RFC 9112 §6.1, RFC 9110 §8.6: neither is sent where no body can be. Not everybody knows that there is none.
    case HeaderName.transfer_encoding:
      return dropsChunked || isBodiless(head.status);
    // RFC 9110 §6.6.2: without chunks there is no place for what it announces.
    case HeaderName.trailer:
      return dropsChunked;
    case HeaderName.content_length:
      return isBodiless(head.status);
    default:
      return head.isHopByHop(index);
  }
}

/** RFC 9110 §15.5.22: a 426 has to say what to upgrade to, and clients can do so through us. */
function advisesUpgrade(head: ResponseHead): boolean {
  return head.status === UPGRADE_REQUIRED && head.has(HeaderName.upgrade);
}

function isBodiless(status: number): boolean {
  return status < 200 || status === 204;
}
