import type { NameAnswer } from '../../messages.js';
import type { Upstream } from '../../upstream/index.js';
import type { Exchange } from '../exchange/index.js';
import { Refusal } from '../guarding/index.js';
import type { HttpRoom } from '../http-room.js';
import type { OutboundName } from './outbound.js';
import type { NameWaiter } from './outbound-names.js';

/** Addresses of one name that are tried. */
const ADDRESSES_MAX = 4;

/** RFC 9209 §2.3: what became of it. */
const fields = {
  timeout: 'Proxy-Status: headgate; error=dns_timeout\r\n',
  failure: 'Proxy-Status: headgate; error=dns_error\r\n',
  prohibited: 'Proxy-Status: headgate; error=destination_ip_prohibited\r\n',
};

/** One request's question where the name leads that it has asked for. */
export class TargetLookup implements NameWaiter {
  /** While there is no answer. */
  private awaited: OutboundName | undefined;

  constructor(
    private readonly room: HttpRoom,
    private readonly exchange: Exchange,
  ) {}

  get isWaiting(): boolean {
    return this.awaited !== undefined;
  }

  begin(target: OutboundName): void {
    const { room, exchange } = this;
    const { names } = room.outbound;
    this.awaited = target;
    const answer = names.find(target.host);
    if (answer !== undefined) {
      this.onNameFound(answer);
    } else if (names.wait(target.host, this)) {
      exchange.schedule(room.worker.clock.nowMs + exchange.connectTimeoutMs);
    } else {
      this.awaited = undefined;
      exchange.record.failed('lookups_full');
      exchange.answer.replace(503);
    }
  }

  onNameFound(answer: NameAnswer): void {
    const { exchange } = this;
    const target = this.awaited!;
    this.awaited = undefined;
    const { ips, outcome } = answer;
    if (ips.length === 0) {
      exchange.record.failed(outcome === 'timeout' ? 'lookup_timeout' : 'lookup_failed');
      if (outcome === 'timeout') exchange.answer.replace(504, fields.timeout);
      else exchange.answer.replace(502, fields.failure);
      return;
    }
    // Whatever was asked before, what counts is the address that is connected to.
    const allowed = ips.filter((ip) => target.resolvesTo.has(ip)).slice(0, ADDRESSES_MAX);
    if (allowed.length > 0) exchange.forwardTo(this.upstreamFor(target, allowed));
    else this.prohibit();
  }

  /** The time is up. */
  expire(): void {
    this.cancel();
    this.exchange.record.failed('lookup_timeout');
    this.exchange.answer.replace(504, fields.timeout);
  }

  /** Nobody waits any more. */
  cancel(): void {
    if (this.awaited === undefined) return;
    this.room.outbound.names.leave(this.awaited.host, this);
    this.awaited = undefined;
  }

  onException(error: unknown): void {
    this.exchange.onException(error);
  }

  private prohibit(): void {
    const { exchange } = this;
    exchange.answer.replace(exchange.record.refused(Refusal.address_denied), fields.prohibited);
  }

  private upstreamFor({ host, port }: OutboundName, ips: readonly string[]): Upstream {
    const addresses = ips.map((ip) => ({
      family: ip.includes(':') ? ('inet6' as const) : ('inet' as const),
      host: ip,
      port,
    }));
    return this.room.outbound.upstreamFor(`${host}:${port}`, addresses);
  }
}
