import { FilesRoute } from '../files/index.js';
import type { Upstream } from '../upstream/index.js';
import { HashKey } from './hash-key.js';
import { HttpPolicy } from './http-policy.js';
import type { HttpRoom } from './http-room.js';
import type { HttpRoute } from './http-route.js';
import type { ErrorPageSnapshot, HttpSnapshot } from './http-snapshot.js';
import { ErrorResponses, type ErrorText } from './message/index.js';
import { RequestMirror } from './mirroring/index.js';
import type { OutboundName } from './outbound/index.js';
import type { Target } from './split.js';

/** What one listener does with requests: its rules, and the upstreams they lead to. */
export class HttpService {
  readonly policy: HttpPolicy;
  /** By position of the route; nothing for one that does not serve files. */
  private readonly files: readonly (FilesRoute | undefined)[];
  /** Of upstreams that balance by hashing. */
  private readonly keys: readonly (HashKey | undefined)[];
  /** Answers of our own, where the listener has words for them. */
  readonly errors: ErrorResponses | undefined;
  /** Who gets a copy of their requests, by position of the route. */
  private readonly mirrors: readonly (RequestMirror | undefined)[];

  /**
   * @param listener its name
   * @param index position of its counters
   * @param upstreams of the worker, in the order of its snapshot; when names lead elsewhere others take their places
   */
  constructor(
    private readonly room: HttpRoom,
    http: HttpSnapshot,
    listener: string,
    private readonly upstreams: readonly Upstream[],
    index: number,
  ) {
    this.policy = new HttpPolicy(http, listener, room.worker.number, room.ids);
    this.files = http.routes.map((route) =>
      route.action.kind === 'files'
        ? new FilesRoute(room.files, route.action, route, http.hsts)
        : undefined,
    );
    this.keys = upstreams.map(({ hash }) => (hash === undefined ? undefined : new HashKey(hash)));
    this.errors = errorPages(http.errorPages ?? []);
    this.mirrors = http.routes.map((route) => {
      const { mirror } = route;
      if (mirror === undefined) return undefined;
      return new RequestMirror(room, http, route, mirror, upstreams, index);
    });
  }

  /** Who gets a copy of the route's requests, if somebody does. */
  mirrorOf({ index }: HttpRoute): RequestMirror | undefined {
    return this.mirrors[index];
  }

  /** What serves the files of a route; nothing for one that does something else. */
  filesOf({ index }: HttpRoute): FilesRoute | undefined {
    return this.files[index];
  }

  /** @param target nothing for a request that says itself where it goes, and may go there */
  upstreamOf(target: Target | undefined): Upstream | OutboundName {
    if (target !== undefined) return this.upstreams[target.upstream]!;
    const { route, head } = this.policy;
    const found = route!.outbound!.find(head)!;
    if (typeof found === 'number') return this.upstreams[found]!;
    if ('resolvesTo' in found) return found;
    const { family, host, port } = found;
    const text = family === 'inet' ? host : `[${host}]`;
    return this.room.outbound.upstreamFor(`${text}:${port}`, [found]);
  }

  /** What the request that the policy has taken up shares with those that belong to it. */
  keyOf(target: Target | undefined): number {
    const key = target && this.keys[target.upstream];
    return key === undefined ? 0 : key.of(this.policy);
  }
}

const STATUS_MAX = 599;

/** @returns nothing for a listener without pages */
function errorPages(pages: readonly ErrorPageSnapshot[]): ErrorResponses | undefined {
  if (pages.length === 0) return undefined;
  const texts = new Map<number, ErrorText>();
  for (let status = 100; status <= STATUS_MAX; status++) {
    const page = pages.find(({ statuses }) =>
      statuses.some(({ from, to }) => status >= from && status <= to),
    );
    if (page !== undefined) texts.set(status, page);
  }
  return new ErrorResponses(texts);
}
