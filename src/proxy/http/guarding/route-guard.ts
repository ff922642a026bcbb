import { type Network, NetworkSet } from '../../network-set.js';
import { ConnectionLimit } from '../../room.js';
import { sourceKey } from '../../source-limit.js';
import { hashBytes } from '../../upstream/index.js';
import type { RequestHead } from '../message/index.js';
import type { HttpClient } from '../routing/index.js';
import { BasicAuth, type BasicAuthSnapshot } from './basic-auth.js';
import { RateLimit, type RateSnapshot } from './rate-limit.js';
import { Refusal } from './refusal.js';

/** Who may use a route, and how much; nothing is asked where nothing is said. */
export interface GuardSnapshot {
  /** Empty: everybody. */
  readonly allow: readonly Network[];
  readonly deny: readonly Network[];
  readonly basicAuth: BasicAuthSnapshot | null;
  readonly rate: RateSnapshot | null;
  /** Requests under way at one time, over all workers; in the memory of a {@link ConnectionLimit}. */
  readonly concurrent: { readonly max: number; readonly shared: SharedArrayBuffer } | null;
  /** Bytes a second of a request's body, at least; 0 or absent: as slow as it may be. */
  readonly bodyRateMin?: number;
  /** Bytes of a request's body; Infinity for no limit. */
  readonly bodyMax: number;
}

/** RFC 9209 §2.3.13: it was us, and not the target. */
const DENIED_TARGET = 'Proxy-Status: headgate; error=http_request_denied\r\n';
const NO_FIELDS = '';

/**
 * Decides whether a route serves a request, before anything is done for it. Cheap questions come first, and
 * a password is looked at only where the rate allows: the rate is what holds guessing back.
 */
export class RouteGuard {
  /** Longer bodies, also those without a length, end the request: see {@link Refusal.body_too_large}. */
  readonly bodyMax: number;
  /** Bytes a second; bodies that come more slowly end the request. */
  readonly bodyRateMin: number;
  /** The route asks for nothing but perhaps {@link bodyMax}. */
  private readonly isOpen: boolean;
  private readonly allow: NetworkSet;
  private readonly deny: NetworkSet;
  private readonly auth: BasicAuth | undefined;
  private readonly rate: RateLimit | undefined;
  private readonly rateKey: RateSnapshot['key'];
  private readonly concurrent: ConnectionLimit | undefined;

  /** @param worker position among the workers */
  constructor(
    { allow, deny, basicAuth, rate, concurrent, bodyMax, bodyRateMin = 0 }: GuardSnapshot,
    worker: number,
  ) {
    this.bodyMax = bodyMax;
    this.bodyRateMin = bodyRateMin;
    this.allow = new NetworkSet(allow);
    this.deny = new NetworkSet(deny);
    this.auth = basicAuth === null ? undefined : new BasicAuth(basicAuth);
    this.rate = rate === null ? undefined : new RateLimit(rate);
    this.rateKey = rate?.key ?? 'route';
    this.concurrent =
      concurrent === null
        ? undefined
        : new ConnectionLimit(concurrent.shared, concurrent.max, worker);
    const asks = [basicAuth, rate, concurrent].some((one) => one !== null);
    this.isOpen = !asks && this.allow.isEmpty && this.deny.isEmpty;
  }

  /**
   * Lets a request in, or not. One that was let in must {@link leave}.
   *
   * @param client that was told of the request
   * @param nowMs monotonic, the same for all threads
   */
  enter(head: RequestHead, client: HttpClient, nowMs: number): Refusal {
    if (head.contentLength > this.bodyMax) return Refusal.body_too_large;
    if (this.isOpen) return Refusal.none;
    if (client.isWithin(this.deny)) return Refusal.denied;
    if (!this.allow.isEmpty && !client.isWithin(this.allow)) return Refusal.denied;
    const { rate, auth, concurrent } = this;
    if (rate !== undefined && !rate.take(this.keyOf(head, client), nowMs)) {
      return Refusal.rate_limited;
    }
    const refusal = auth === undefined ? Refusal.none : auth.check(head, nowMs);
    if (refusal !== Refusal.none) return refusal;
    if (concurrent !== undefined && !concurrent.enter()) return Refusal.concurrency_limited;
    return Refusal.none;
  }

  /** Who has shown the password of a request that was let in, a character per byte; nothing where none was asked for. */
  userOf(head: RequestHead): string | undefined {
    return this.auth?.userOf(head);
  }

  /** A request that was let in is over. */
  leave(): void {
    this.concurrent?.leave();
  }

  /** Field lines that go with the answer to the request refused last, each with its line end. */
  fieldsFor(refusal: Refusal): string {
    switch (refusal) {
      case Refusal.unauthorized:
        return this.auth!.challenge;
      case Refusal.rate_limited:
        return `Retry-After: ${Math.max(1, Math.ceil(this.rate!.retryAfterMs / 1000))}\r\n`;
      case Refusal.authentication_busy:
      case Refusal.concurrency_limited:
        return 'Retry-After: 1\r\n';
      case Refusal.target_denied:
        return DENIED_TARGET;
      default:
        return NO_FIELDS;
    }
  }

  private keyOf(head: RequestHead, { address }: HttpClient): number {
    if (this.rateKey === 'route') return 0;
    if (this.rateKey === 'source') {
      return address === undefined ? 0 : sourceKey(address, 0, address.length as 4 | 16);
    }
    const index = head.findNamed(this.rateKey.header);
    return index < 0 ? 0 : hashBytes(head.bytes, head.valueStart(index), head.valueEnd(index));
  }
}
