import type { Upstream } from '../upstream/index.js';
import { HttpPolicy } from './http-policy.js';
import type { HttpRoom } from './http-room.js';
import type { HttpSnapshot } from './http-snapshot.js';
import type { Target } from './split.js';

/** What one listener does with requests: its rules, and the upstreams they lead to. */
export class HttpService {
  readonly policy: HttpPolicy;

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
  }

  upstreamOf({ upstream }: Target): Upstream {
    return this.upstreams[upstream]!;
  }
}
