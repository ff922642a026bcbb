import type { HeadWriter } from '../message/index.js';
import type { RequestContext } from './request-context.js';
import type { RequestRewriter } from './request-rewriter.js';

/** Scheme and authority as the upstream was told them, and as the client has asked. */
export interface Origins {
  /** The Host that the upstream was told, lower case. */
  readonly upstreamHost: string;
  /** `https://example.com` */
  readonly client: string;
}

/**
 * Makes `Location` (RFC 9110 §10.2.2) name what the client can ask for: the upstream's own host becomes the
 * one the client has asked, and a path gets back the prefix that was taken off.
 */
export class LocationRewriter {
  /**
   * @param prefix that was replaced in the path of the request
   * @param request writes the Host that the upstream is told
   */
  constructor(
    private readonly prefix: { readonly from: string; readonly to: string } | null,
    private readonly request: Pick<RequestRewriter, 'writeHostValue'>,
  ) {}

  /** @param scratch room for a Host */
  originsOf(context: RequestContext, scratch: HeadWriter): Origins | undefined {
    const { head, client } = context;
    if (head.authority === undefined) return undefined;
    const start = scratch.at;
    this.request.writeHostValue(context, scratch);
    const upstreamHost = scratch.bytes.toString('latin1', start, scratch.at).toLowerCase();
    scratch.at = start;
    const authority = head.text(head.authority.start, head.authority.end);
    return { upstreamHost, client: `${client.scheme}://${authority}` };
  }

  /** @param value of Location */
  rewrite(value: string, { upstreamHost, client }: Origins): string {
    const [, named, authority, rest = ''] = /^(https?:)?\/\/([^/?#]*)(.*)$/i.exec(value) ?? [];
    if (authority === undefined) {
      return value.startsWith('/') ? rooted(this.withPrefix(value)) : value;
    }
    // A network-path reference (RFC 3986 §4.2) takes the scheme that the upstream was told of.
    const scheme = (named ?? client).split(':', 1)[0]!.toLowerCase();
    const isUpstream =
      withoutDefaultPort(authority.toLowerCase(), scheme) ===
      withoutDefaultPort(upstreamHost, scheme);
    if (!isUpstream) return value;
    const origin = isUpgrade(scheme, upstreamHost, client) ? `${scheme}://${authority}` : client;
    return `${origin}${this.withPrefix(rest)}`;
  }

  private withPrefix(path: string): string {
    if (this.prefix === null) return path;
    const { from, to } = this.prefix;
    const isBelow = path.startsWith(to) && /^($|[/?#])/.test(path.slice(to.length));
    return isBelow ? `${from}${path.slice(to.length)}` : path;
  }
}

/**
 * What is left of a path when its prefix is gone: still a path, from the root. Nothing at all would be where the client is
 * already, and two slashes, which browsers also take backslashes for, another host (RFC 3986 §4.2).
 */
function rooted(path: string): string {
  return path.replace(/^[/\\]*/, '/');
}

/**
 * Whether an upstream that was told the client's own host sends a client of plain HTTP to HTTPS there. Back at HTTP it would
 * be sent so for ever. The other way round it is an upstream that does not know of the TLS in front of it.
 */
function isUpgrade(scheme: string, upstreamHost: string, client: string): boolean {
  return scheme === 'https' && client.toLowerCase() === `http://${upstreamHost}`;
}

/** RFC 9110 §4.2: with its scheme's default port, or an empty one, an authority is what it is without. */
function withoutDefaultPort(authority: string, scheme: string): string {
  return authority.replace(scheme === 'https' ? /:(443)?$/ : /:(80)?$/, '');
}
