import type { Upstream } from '../upstream/index.js';
import type { Exchange } from './exchange.js';
import { HeadWriter } from './head-writer.js';
import { HeaderName } from './header-name.js';
import type { ForwardSnapshot, HttpSnapshot } from './http-snapshot.js';
import { Framing, type MessageHead } from './message-head.js';
import type { RequestHead } from './request-head.js';
import type { ResponseHead } from './response-head.js';

const writer = new HeadWriter();

/** What a listener does with requests. */
export class HttpService {
  private readonly upstream: Upstream;

  /** @param upstreams of the worker, in the order of its snapshot */
  constructor(http: HttpSnapshot, upstreams: readonly Upstream[]) {
    const action = http.routes.map(({ action }) => action).find(({ kind }) => kind === 'forward');
    this.upstream = upstreams[(action as ForwardSnapshot).targets[0]!.upstream]!;
  }

  route(_head: RequestHead): Upstream {
    return this.upstream;
  }

  /** @returns bytes of the head as the endpoint gets it, or TOO_LONG */
  writeRequest(head: RequestHead, bytes: Buffer): number {
    writer.begin(bytes);
    writer.copy(head.bytes, head.methodStart, head.target.end);
    writer.text(' HTTP/1.1\r\n');
    writeEndToEndFields(head);
    if (head.wantsUpgrade) {
      const index = head.find(HeaderName.upgrade);
      writer.text('connection: upgrade\r\n');
      writer.copy(head.bytes, head.lineStart(index), head.lineEnd(index));
    }
    writer.text('\r\n');
    return writer.isFull ? -500 : writer.length;
  }

  writeResponse(head: ResponseHead, bytes: Buffer, exchange: Exchange): number {
    writer.begin(bytes);
    writer.text('HTTP/1.1');
    writer.copy(head.bytes, head.start + 8, head.fieldsStart);
    writeEndToEndFields(head, exchange.isOldClient && head.framing === Framing.chunked);
    if (!head.isInterim) {
      if (head.framing === Framing.tunnel) {
        const index = head.find(HeaderName.upgrade);
        writer.text('connection: upgrade\r\n');
        if (index >= 0) writer.copy(head.bytes, head.lineStart(index), head.lineEnd(index));
      } else if (!exchange.keepsClient) writer.text('connection: close\r\n');
      else if (exchange.isOldClient) writer.text('connection: keep-alive\r\n');
    }
    writer.text('\r\n');
    return writer.isFull ? -500 : writer.length;
  }
}

/**
 * All fields but those for one connection only, as they came.
 * @param isUnchunked the body is taken out of its chunks: what speaks of them is left out
 */
function writeEndToEndFields(head: MessageHead, isUnchunked = false): void {
  const { bytes, count } = head;
  let from = head.fieldsStart;
  for (let index = 0; index < count; index++) {
    if (!head.isHopByHop(index) && !(isUnchunked && isOfChunks(head.id(index)))) continue;
    const lineStart = head.lineStart(index);
    if (lineStart > from) writer.copy(bytes, from, lineStart);
    from = head.lineEnd(index);
  }
  if (head.fieldsEnd > from) writer.copy(bytes, from, head.fieldsEnd);
}

function isOfChunks(name: HeaderName): boolean {
  return name === HeaderName.transfer_encoding || name === HeaderName.trailer;
}
