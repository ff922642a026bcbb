import type { Upstream } from '../upstream/index.js';
import { HashKey } from './hash-key.js';
import { HttpPolicy } from './http-policy.js';
import type { HttpRoom } from './http-room.js';
import type { HttpSnapshot } from './http-snapshot.js';
import type { Target } from './split.js';

/** What one listener does with requests: its rules, and the upstreams they lead to. */
export class HttpService {
  readonly policy: HttpPolicy;
  /** Of upstreams that balance by hashing. */
  private readonly keys: readonly (HashKey | undefined)[];

  /**
   * @param listener its name
   * @param upstreams of the worker, in the order of its snapshot
   */
  constructor(
    room: HttpRoom,
    http: HttpSnapshot,
    listener: string,
    private readonly upstreams: readonly Upstream[],
  ) {
    this.policy = new HttpPolicy(http, listener, room.worker.number, room.ids);
    this.keys = upstreams.map(({ hash }) => (hash === undefined ? undefined : new HashKey(hash)));
  }

  upstreamOf({ upstream }: Target): Upstream {
    return this.upstreams[upstream]!;
  }

  /** What the request that the policy has taken up shares with those that belong to it. */
  keyOf({ upstream }: Target): number {
    const key = this.keys[upstream];
    return key === undefined ? 0 : key.of(this.policy);
  }
}
