import type { HttpRouteSnapshot, HttpSnapshot } from '../http-snapshot.js';
import { HeaderName, type HeadWriter, type RequestHead, TargetForm } from '../message/index.js';
import { FieldFilter } from './field-filter.js';
import { ForwardingFields } from './forwarding-fields.js';
import { keptRequestId, maxForwards, type RequestContext } from './request-context.js';
import { TargetRewriter } from './target-rewriter.js';
import { CompiledTemplate, FieldLines } from './template.js';
import { viaLines } from './via-lines.js';

const SPACE = 0x20;

const CRLF = Buffer.from('\r\n', 'latin1');
const VERSION_LINE_END = Buffer.from(' HTTP/1.1\r\n', 'latin1');
const HOST = Buffer.from('Host: ', 'latin1');
const UPGRADE = Buffer.from('Connection: upgrade\r\n', 'latin1');
/** RFC 9110 §10.1.4: who sends TE also names it in Connection. */
const TRAILERS = Buffer.from('Connection: te\r\nTE: trailers\r\n', 'latin1');

/** Fields that are for one hop only, or mean something to us alone (RFC 9110 §7.6.1; RFC 9113 §3.1). */
const hopByHop = [
  HeaderName.connection,
  HeaderName.keep_alive,
  HeaderName.proxy_connection,
  HeaderName.proxy_authenticate,
  HeaderName.proxy_authorization,
  HeaderName.te,
  HeaderName.http2_settings,
];

/** What is to become of a request besides what its route says. */
export interface RequestDelivery {
  /** The upstream is asked to switch protocols, as the client has asked. */
  readonly isUpgrade: boolean;
  /** The client was told to go on already, and the upstream need not be asked. */
  readonly dropsExpect: boolean;
}

/**
 * Writes requests for upstreams, as one route wants them. Lines that stay are copied as they are, those
 * in a row at once; what is added is made of bytes that were ready before the request came.
 */
export class RequestRewriter {
  private readonly filter: FieldFilter;
  private readonly forwarding: ForwardingFields;
  private readonly target: TargetRewriter;
  /** 1 for each number of a name that is left out: of requests from anybody, and from trusted proxies. */
  private readonly drops: Uint8Array;
  private readonly trustedDrops: Uint8Array;
  private readonly host: 'preserve' | 'upstream' | CompiledTemplate;
  private readonly fields: FieldLines;
  /** Via for clients of HTTP/1.0 and HTTP/1.1. */
  private readonly vias: readonly [Buffer, Buffer];
  private readonly requestId: HttpSnapshot['requestId'];

  constructor(http: Omit<HttpSnapshot, 'routes'>, route: HttpRouteSnapshot) {
    const { host, requestHeaders, prefix } = route;
    const { set, add } = requestHeaders;
    this.filter = new FieldFilter(requestHeaders, true);
    this.forwarding = new ForwardingFields(http);
    this.target = new TargetRewriter(prefix);
    this.host = typeof host === 'string' ? host : new CompiledTemplate(host);
    this.fields = new FieldLines([...set, ...add]);
    // What a route sets by itself is not made as well.
    const isSet = (name: string) => set.some((field) => field.name.toLowerCase() === name);
    this.requestId = isSet('x-request-id') ? 'off' : http.requestId;
    this.vias = viaLines(http.via);
    this.drops = this.dropsFor(false);
    this.trustedDrops = this.dropsFor(true);
  }

  /** Writes the whole head, its empty line included. */
  write(context: RequestContext, delivery: RequestDelivery, out: HeadWriter): void {
    const { head, client } = context;
    const keptId = this.requestId === 'keep' ? keptRequestId(head) : -1;
    let from = this.writeRequestLine(context, out);
    const drops = client.isTrusted ? this.trustedDrops : this.drops;
    for (let index = 0; index < head.count; index++) {
      const id = head.id(index);
      const isDropped =
        id === HeaderName.other
          ? this.filter.drops(head, index) ||
            head.isHopByHop(index) ||
            drops[head.imitates(index)] === 1
          : drops[id] === 1 || this.dropsKnown(head, index, id, keptId, delivery);
      if (!isDropped) continue;
      const lineAt = head.lineStart(index);
      if (lineAt > from) out.copy(head.bytes, from, lineAt);
      from = head.lineEnd(index);
    }
    if (head.fieldsEnd > from) out.copy(head.bytes, from, head.fieldsEnd);
    this.writeHost(context, out);
    this.forwarding.write(context, out);
    if (delivery.isUpgrade) out.literal(UPGRADE);
    else if (head.has(HeaderName.te) && wantsTrailers(head)) out.literal(TRAILERS);
    out.literal(this.vias[head.minorVersion as 0 | 1]);
    if (this.requestId !== 'off' && keptId < 0) context.writeRequestIdLine(out);
    if (head.has(HeaderName.max_forwards)) writeMaxForwards(head, out);
    this.fields.write(context, out);
    out.literal(CRLF);
  }

  /** What the upstream is told as Host. */
  writeHostValue(context: RequestContext, out: HeadWriter): void {
    const { head, target } = context;
    if (this.host === 'upstream') out.literal(target!.host);
    else if (this.host !== 'preserve') this.host.write(context, out);
    else if (head.authority === undefined) out.literal(target!.host);
    else out.copy(head.bytes, head.authority.start, head.authority.end);
  }

  /** @returns where the head's bytes go on that have not been written */
  private writeRequestLine(context: RequestContext, out: HeadWriter): number {
    const { bytes, methodStart, methodEnd, minorVersion, target, fieldsStart } = context.head;
    const isSame = minorVersion === 1 && target.form === TargetForm.origin;
    if (isSame && this.target.keepsOrigin) return methodStart;
    out.copy(bytes, methodStart, methodEnd);
    out.byte(SPACE);
    this.target.write(context, out);
    out.literal(VERSION_LINE_END);
    return fieldsStart;
  }

  /** What depends on the request, of fields that the table lets through. */
  private dropsKnown(
    head: RequestHead,
    index: number,
    id: HeaderName,
    keptId: number,
    { isUpgrade, dropsExpect }: RequestDelivery,
  ): boolean {
    switch (id) {
      case HeaderName.upgrade:
        return !isUpgrade;
      case HeaderName.expect:
        // RFC 9110 §10.1.1: empty, without a body, and from HTTP/1.0 it means nothing. Not every endpoint knows that.
        return dropsExpect || !head.expectsContinue;
      case HeaderName.max_forwards:
        return maxForwards(head) >= 0;
      case HeaderName.x_request_id:
        return this.requestId === 'keep' ? index !== keptId : head.isHopByHop(index);
      default:
        return head.isHopByHop(index);
    }
  }

  private writeHost(context: RequestContext, out: HeadWriter): void {
    if (this.host === 'preserve' && context.head.has(HeaderName.host)) return;
    out.literal(HOST);
    this.writeHostValue(context, out);
    out.literal(CRLF);
  }

  private dropsFor(isTrusted: boolean): Uint8Array {
    const drops = this.filter.known.slice();
    for (const id of [...hopByHop, ...this.forwarding.dropped(isTrusted)]) drops[id] = 1;
    if (this.host !== 'preserve') drops[HeaderName.host] = 1;
    if (this.requestId === 'make') drops[HeaderName.x_request_id] = 1;
    return drops;
  }
}

function writeMaxForwards(head: RequestHead, out: HeadWriter): void {
  const most = maxForwards(head);
  if (most > 0) out.text(`Max-Forwards: ${most - 1}\r\n`);
}

function wantsTrailers(head: RequestHead): boolean {
  for (let at = head.find(HeaderName.te); at >= 0; at = head.find(HeaderName.te, at + 1)) {
    if (/(^|,)[ \t]*trailers[ \t]*(,|$)/i.test(head.value(at))) return true;
  }
  return false;
}
