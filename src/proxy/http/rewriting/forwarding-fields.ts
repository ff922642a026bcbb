import type { HttpSnapshot } from '../http-snapshot.js';
import { HeaderName, type HeadWriter } from '../message/index.js';
import type { HttpClient } from '../routing/index.js';
import type { RequestContext } from './request-context.js';

const COLON = 0x3a;

const CRLF = Buffer.from('\r\n', 'latin1');
const QUOTE = Buffer.from('"', 'latin1');
const LIST_COMMA = Buffer.from(', ', 'latin1');
const FOR = Buffer.from('X-Forwarded-For: ', 'latin1');
const PROTO_LINES = {
  http: Buffer.from('X-Forwarded-Proto: http\r\n', 'latin1'),
  https: Buffer.from('X-Forwarded-Proto: https\r\n', 'latin1'),
};
const HOST = Buffer.from('X-Forwarded-Host: ', 'latin1');
const FORWARDED_HOST = Buffer.from(';host=', 'latin1');

/** Fields in which a proxy tells who the client is: from others than trusted ones they are lies. */
const claims = [
  HeaderName.forwarded,
  HeaderName.x_forwarded_for,
  HeaderName.x_forwarded_proto,
  HeaderName.x_forwarded_host,
  HeaderName.x_forwarded_port,
  HeaderName.x_real_ip,
];

/** What upstreams are told of a client, and which of the client's own words about that are passed on. */
export class ForwardingFields {
  constructor(private readonly policy: Pick<HttpSnapshot, 'xForwarded' | 'forwarded'>) {}

  /** Numbers of the fields that are not passed on as they came. */
  dropped(isTrusted: boolean): readonly HeaderName[] {
    if (!isTrusted) return claims;
    // The peer is added to the list, which stays one line.
    return this.policy.xForwarded ? [HeaderName.x_forwarded_for] : [];
  }

  write(context: RequestContext, out: HeadWriter): void {
    if (this.policy.xForwarded) this.writeXForwarded(context, out);
    if (this.policy.forwarded) this.writeForwarded(context, out);
  }

  private writeXForwarded({ head, client }: RequestContext, out: HeadWriter): void {
    const { isTrusted } = client;
    if (!isTrusted) {
      writePeer(client, out);
    } else {
      if (client.peerIp !== '') {
        out.literal(FOR);
        let index = head.find(HeaderName.x_forwarded_for);
        for (; index >= 0; index = head.find(HeaderName.x_forwarded_for, index + 1)) {
          // RFC 9110 §5.6.1: no list is sent with an element that is empty.
          if (head.valueStart(index) === head.valueEnd(index)) continue;
          out.copy(head.bytes, head.valueStart(index), head.valueEnd(index));
          out.literal(LIST_COMMA);
        }
        out.text(client.peerIp);
        out.literal(CRLF);
      }
      if (!head.has(HeaderName.x_forwarded_proto)) out.literal(PROTO_LINES[client.facts.scheme]);
    }
    const { authority } = head;
    if (authority === undefined || (isTrusted && head.has(HeaderName.x_forwarded_host))) return;
    out.literal(HOST);
    out.copy(head.bytes, authority.start, authority.end);
    out.literal(CRLF);
  }

  /** RFC 7239 §4: IPv6 addresses and ports need quotes. */
  private writeForwarded({ head, client }: RequestContext, out: HeadWriter): void {
    const { peerIp } = client;
    const node = peerIp.includes(':') ? `"[${peerIp}]"` : peerIp || 'unknown';
    out.text(`Forwarded: for=${node};proto=${client.facts.scheme}`);
    const { authority } = head;
    if (authority !== undefined) {
      const hasColon = head.bytes.subarray(authority.start, authority.end).includes(COLON);
      out.literal(FORWARDED_HOST);
      if (hasColon) out.literal(QUOTE);
      out.copy(head.bytes, authority.start, authority.end);
      if (hasColon) out.literal(QUOTE);
    }
    out.literal(CRLF);
  }
}

/** Many clients send one request: what makes the next ones cheaper is made with the second. */
function writePeer(client: HttpClient, out: HeadWriter): void {
  if (client.peerLines !== undefined) {
    out.literal(client.peerLines);
    return;
  }
  const start = out.at;
  if (client.peerIp !== '') {
    out.literal(FOR);
    out.text(client.peerIp);
    out.literal(CRLF);
  }
  out.literal(PROTO_LINES[client.facts.scheme]);
  if (client.wasTold && !out.isFull) {
    client.peerLines = Buffer.from(out.bytes.subarray(start, out.at));
  }
  client.wasTold = true;
}
