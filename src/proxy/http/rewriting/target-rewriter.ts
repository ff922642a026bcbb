import { type HeadWriter, Method, TargetForm } from '../message/index.js';
import { rawOffset } from '../routing/index.js';
import type { RequestContext } from './request-context.js';

const SLASH = 0x2f;
const QUESTION = 0x3f;
const ASTERISK = 0x2a;

/** Writes the target of a request for an upstream: the origin form, perhaps with another prefix. */
export class TargetRewriter {
  private readonly from: Buffer;
  private readonly to: Buffer;
  /** Targets in origin form stay as they are. */
  readonly keepsOrigin: boolean;

  /** @param prefix neither end has a slash at its end */
  constructor(prefix: { readonly from: string; readonly to: string } | null) {
    this.from = Buffer.from(prefix?.from ?? '', 'latin1');
    this.to = Buffer.from(prefix?.to ?? '', 'latin1');
    this.keepsOrigin = this.from.length + this.to.length === 0;
  }

  write(context: RequestContext, out: HeadWriter): void {
    const { bytes, method, target } = context.head;
    if (target.form === TargetForm.asterisk || target.form === TargetForm.authority) {
      out.copy(bytes, target.start, target.end);
      return;
    }
    const isEmpty = target.pathStart === target.pathEnd;
    const hasQuery = target.queryStart !== target.pathEnd;
    // RFC 9112 §3.2.4: the last proxy makes the asterisk of an absolute form without path and query.
    if (isEmpty && !hasQuery && method === Method.OPTIONS) {
      out.byte(ASTERISK);
      return;
    }
    if (!this.keepsOrigin && this.hasPrefix(context)) this.writePath(context, out);
    else if (isEmpty) out.byte(SLASH);
    else out.copy(bytes, target.pathStart, target.pathEnd);
    if (!hasQuery) return;
    out.byte(QUESTION);
    out.copy(bytes, target.queryStart, target.queryEnd);
  }

  /** Whether the path begins with the whole parts of the prefix. */
  private hasPrefix({ path: { bytes, start, end } }: RequestContext): boolean {
    const { from } = this;
    if (end - start < from.length) return false;
    for (let index = 0; index < from.length; index++) {
      if (bytes[start + index] !== from[index]) return false;
    }
    return end - start === from.length || bytes[start + from.length] === SLASH;
  }

  /**
   * What is behind the prefix goes on as it was sent, in its own spelling. Only when there were dot
   * segments it is what they lead to: `/v1/a/../../x` must not get past the new prefix.
   */
  private writePath({ head, path }: RequestContext, out: HeadWriter): void {
    const { pathStart, pathEnd } = head.target;
    const { bytes, end } = path.hadDotSegments ? path : { bytes: head.bytes, end: pathEnd };
    let at = path.hadDotSegments
      ? path.start + this.from.length
      : rawOffset(head.bytes, pathStart, pathEnd, this.from.length);
    out.literal(this.to);
    // No path at all is the root.
    const hasRest = at < end || pathStart === pathEnd;
    // "//host" would be taken for a network-path reference (RFC 3986 §4.2) when it is sent back.
    while (at < end && bytes[at] === SLASH) at++;
    if (hasRest || this.to.length === 0) out.byte(SLASH);
    out.copy(bytes, at, end);
  }
}
