import type { DirectionStatus } from './flow/index.js';

/** What an HTTP connection does, in the words of the admin interface. */
export interface HttpStatus {
  /** That have come by now, the one under way included. */
  readonly requests: number;
  /** How long the client has been waited for since its last request; absent while it has one, and before the first. */
  readonly idle_ms?: number;
  /** The one under way, or what has become a tunnel. */
  readonly request?: HttpRequestStatus;
}

/** A request that is under way. Its texts are absent when it began before anybody could ask for them. */
export interface HttpRequestStatus {
  readonly request_id?: string;
  /** Who has shown a password that the route took. */
  readonly user?: string;
  readonly method?: string;
  readonly host?: string;
  readonly target?: string;
  readonly version?: string;
  readonly route?: string;
  readonly age_ms: number;
  /** Of the response; absent before there is one. */
  readonly status?: number;
  /** From the request's head to the response's. */
  readonly ttfb_ms?: number;
  /** Connections that were tried after another had failed. */
  readonly retries?: number;
  /** The connection to the endpoint has carried requests before. */
  readonly upstream_reused?: boolean;
  readonly up: DirectionStatus;
  readonly down: DirectionStatus;
}
