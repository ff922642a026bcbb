import type { HeadPolicy } from '../head-policy.js';
import type { WorkerRoom } from '../room.js';
import {
  type ExpectedHead,
  HeadReader,
  HeadResult,
  type ProxyEndpoints,
  type ProxyTlv,
  type Rejection,
  type RejectionName,
  rejectionName,
} from '../tcp/index.js';
import { sourceKey, sourceKeyOf, type Upstream } from '../upstream/index.js';
import type { Flow } from './flow.js';

/**
 * The head of one flow: read until there is a route, then what is left to say of it. While it is read
 * it owns a reader; afterwards the few words that outlive it.
 */
export class FlowHead {
  /** The client and its destination as the PROXY header had them. */
  endpoints: ProxyEndpoints | undefined;
  /** What else it said. */
  proxyTlvs: readonly ProxyTlv[] | undefined;
  /** Of the ClientHello. */
  serverName: string | undefined;
  /** Where the stream goes, once that is known. */
  upstream: Upstream | undefined;
  /** Why it goes nowhere. */
  rejection: Rejection | undefined;
  private reader: HeadReader | undefined;

  constructor(
    private readonly room: WorkerRoom,
    private readonly policy: HeadPolicy,
    expected: ExpectedHead,
    private readonly fd: number,
  ) {
    this.reader = new HeadReader(room.headMemory, expected);
  }

  get rejectionName(): RejectionName | undefined {
    return this.rejection && rejectionName(this.rejection);
  }

  /** A part of it has come. To be asked only while it is read. */
  get hasBegun(): boolean {
    return this.reader!.hasBegun;
  }

  /**
   * Takes what has come. Not to be called after it answered true.
   *
   * @param events what epoll reported
   * @returns true when `upstream` or `rejection` is known; the client of a rejected stream has been told
   */
  advance(events: number): boolean {
    const reader = this.reader!;
    const result = reader.advance(this.room.kernel, this.fd, events);
    if (result === HeadResult.NeedMore) return false;
    this.endpoints = reader.proxyHeader?.endpoints;
    this.proxyTlvs = reader.proxyHeader?.tlvs;
    this.serverName = reader.clientHello?.serverName;
    if (result === HeadResult.Done) {
      const target = this.policy.route(reader.clientHello);
      if (typeof target === 'number') reader.refuse(-target as Rejection);
      else this.upstream = target;
    }
    this.settle();
    return true;
  }

  /** The time is up. */
  expire(): void {
    this.reader!.expire();
    this.endpoints = this.reader!.proxyHeader?.endpoints;
    this.settle();
  }

  private settle(): void {
    const reader = this.reader!;
    this.reader = undefined;
    this.rejection = reader.rejection;
    if (this.rejection !== undefined) reader.dismiss(this.room.kernel, this.fd);
  }
}

/** What all connections of a flow's client share: see `sourceKey`. */
export function flowKey({ room, client, head }: Flow): number {
  const source = head?.endpoints?.source;
  return source === undefined ? sourceKey(room.kernel, client.transport.fd) : sourceKeyOf(source);
}
