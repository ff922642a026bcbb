import { isMapped, MAPPED_OFFSET, readIPv4, readIPv6 } from '../../../splice/index.js';
import { HeaderName, type RequestHead } from '../message/index.js';

/** An address as text and as bytes. */
export interface HostAddress {
  readonly text: string;
  /** 4 or 16 bytes, network byte order. */
  readonly bytes: Buffer;
}

/** Longer lists than this were not made by proxies. */
const HOPS_MAX = 32;

/**
 * Walks the addresses that proxies in front have noted, from the nearest to the farthest: those of
 * `X-Forwarded-For` where there are any, else those of `Forwarded`. It ends at the first that is no
 * address: what stands before it was written by somebody who is not known.
 */
export function forwardedHosts(head: RequestHead): HostAddress[] {
  const name = head.has(HeaderName.x_forwarded_for)
    ? HeaderName.x_forwarded_for
    : HeaderName.forwarded;
  const elements = listElements(head, name);
  const hosts: HostAddress[] = [];
  for (const element of elements.reverse().slice(0, HOPS_MAX)) {
    const text = name === HeaderName.forwarded ? forwardedFor(element) : element;
    const host = text === undefined ? undefined : readHost(text);
    if (host === undefined) break;
    hosts.push(host);
  }
  return hosts;
}

/**
 * An address without port, zone or brackets around it, or undefined. An IPv4 address inside an IPv6 one, as proxies with a
 * dual-stack socket write it, is the IPv4 address that rules are about.
 */
export function readHost(text: string): HostAddress | undefined {
  const [, inner, plain] =
    /^\[([0-9A-Fa-f:.]+)\](?::\d+)?$/.exec(text) ??
    /^()(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/.exec(text) ??
    /^()([0-9A-Fa-f:.]+)$/.exec(text) ??
    [];
  const host = inner || plain;
  if (host === undefined) return undefined;
  if (host.includes(':')) {
    const bytes = Buffer.alloc(16);
    if (!readIPv6(host, bytes, 0)) return undefined;
    if (!isMapped(bytes, 0)) return { text: host, bytes };
    const inet = bytes.subarray(MAPPED_OFFSET);
    return { text: inet.join('.'), bytes: inet };
  }
  const bytes = Buffer.alloc(4);
  return readIPv4(host, bytes, 0) ? { text: host, bytes } : undefined;
}

/** The first of a field's values, or undefined: what the farthest proxy has said. */
export function firstElement(head: RequestHead, name: HeaderName): string | undefined {
  const index = head.find(name);
  if (index < 0) return undefined;
  const [first = ''] = head.value(index).split(',');
  return first.trim() || undefined;
}

/** `proto` of the first element of Forwarded (RFC 7239 §5.4), lower case. */
export function forwardedProto(head: RequestHead): string | undefined {
  const [first] = listElements(head, HeaderName.forwarded);
  const value = first === undefined ? undefined : parameter(first, 'proto');
  return value?.toLowerCase();
}

/** Several lines are one list (RFC 9110 §5.3); commas within quotes separate nothing. */
function listElements(head: RequestHead, name: HeaderName): string[] {
  const elements: string[] = [];
  for (let index = head.find(name); index >= 0; index = head.find(name, index + 1)) {
    for (const [element] of head.value(index).matchAll(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g)) {
      const text = element.trim();
      if (text !== '') elements.push(text);
    }
  }
  return elements;
}

function forwardedFor(element: string): string | undefined {
  return parameter(element, 'for');
}

/** A parameter of an element of Forwarded (RFC 7239 §4), without quotes. */
function parameter(element: string, name: string): string | undefined {
  for (const pair of element.split(';')) {
    const [key = '', ...rest] = pair.split('=');
    if (key.trim().toLowerCase() !== name) continue;
    return rest
      .join('=')
      .trim()
      .replace(/^"(.*)"$/, '$1');
  }
  return undefined;
}
