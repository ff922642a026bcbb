import type { FlowList, FlowQuery } from '../../proxy/index.js';
import type { Statistics } from '../statistics/index.js';

/** What an operator may want of an endpoint: no new connections, or connections again. */
export type EndpointOrder = 'drain' | 'ready';

/** One endpoint, in the words of the admin interface. */
export interface EndpointStatus {
  /** As in the configuration: `127.0.0.1:3000`, `[::1]:3000`, `unix:/run/app.sock`. */
  readonly address: string;
  /** `unchecked`, `up`, `ejected`, `down` or `draining`. */
  readonly state: string;
  readonly [detail: string]: unknown;
}

export interface UpstreamStatus {
  readonly name: string;
  /** Client connections that wait for a place. */
  readonly waiting: number;
  readonly endpoints: readonly EndpointStatus[];
}

/** What became of a reload. An invalid file changes nothing, and says every problem. */
export type ReloadResult =
  | { readonly ok: true; readonly changes: readonly string[] }
  /** @param problems one line each, `file:line:column: what is wrong, what was expected` */
  | { readonly ok: false; readonly problems: readonly string[] };

/** The running proxy as the admin endpoint sees it. */
export interface AdminTarget {
  statistics(): Statistics;
  /** Every worker accepts connections: false before they all do, and while draining. */
  isReady(): boolean;
  /** Every worker runs. */
  isHealthy(): boolean;
  /** @throws NoAnswer when a worker is stuck */
  flows(query: FlowQuery): Promise<FlowList>;
  /** @returns false when there is no such flow @throws NoAnswer when its worker is stuck */
  endFlow(id: string): Promise<boolean>;
  /** The configuration in force; secrets are masked by the endpoint. */
  config(): unknown;
  upstreams(): readonly UpstreamStatus[];
  /** @returns false when there is no such endpoint */
  setEndpoint(upstream: string, endpoint: string, order: EndpointOrder): boolean;
  reload(): Promise<ReloadResult>;
  /** It drains or ends: no configuration is loaded any more, whatever it says. */
  isStopping(): boolean;
}
