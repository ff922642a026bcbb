import { Sockaddr } from '../splice/index.js';
import type { UpstreamSnapshot } from './snapshot.js';

/** One address of an upstream, ready for connect(2). */
export class Endpoint {
  readonly sockaddr: Sockaddr;
  /** For log lines. */
  readonly text: string;

  constructor(address: UpstreamSnapshot['endpoints'][number]) {
    this.sockaddr = new Sockaddr(address);
    this.text = this.sockaddr.toString();
  }
}

/** Where a listener's flows go: endpoints taken in turn. */
export class Upstream {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  private turn: number;

  /** @param offset where to begin, so that workers do not all begin at the same endpoint */
  constructor(snapshot: UpstreamSnapshot, offset: number) {
    this.name = snapshot.name;
    this.endpoints = snapshot.endpoints.map((address) => new Endpoint(address));
    this.turn = offset;
  }

  /** The next endpoint. There is always one: the configuration asks for it. */
  select(): Endpoint {
    this.turn = (this.turn + 1) % this.endpoints.length;
    return this.endpoints[this.turn]!;
  }
}
