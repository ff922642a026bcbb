import { formatAddress, type Kernel, peerAddress } from '../splice/index.js';
import type { CloseReason } from './counters.js';
import type { DirectionStatus } from './flow/index.js';

import type { HttpStatus } from './http-status.js';
import type { Listener } from './listener.js';
import type { MirrorStatus } from './mirror/index.js';
import type { SessionStateName } from './session-state.js';
import type { TlsStatus } from './tls-status.js';
import type { Upstream } from './upstream/index.js';

/** What is shown of a session beyond what it can be found by. */
export interface SessionDetail {
  /** The endpoint's address, once one was chosen. */
  readonly endpoint: string | undefined;
  /** Of the last event of either side. */
  readonly lastActivityMs: number;
  /** How long connecting to the endpoint took; negative until it has. */
  readonly connectMs: number;
  /** Of the client and of the upstream, where there is TLS. */
  readonly tls?: TlsStatus | undefined;
  readonly upstreamTls?: TlsStatus | undefined;
  /** Who gets a copy of what the client sends, if somebody does. */
  readonly mirror?: MirrorStatus | undefined;
  /** Names its capture, where it is captured. */
  readonly capture?: string | undefined;
  /** Where HTTP is spoken. */
  readonly http?: HttpStatus | undefined;
  readonly up: DirectionStatus;
  readonly down: DirectionStatus;
}

/**
 * One client's connection as its worker sees it, whatever is spoken there: the worker lists and ends
 * sessions, and tells them when it drains or when upstreams are replaced.
 */
export interface Session {
  /** Number in its worker, from 1. */
  readonly sequence: number;
  readonly listener: Listener;
  readonly startedMs: number;
  readonly stateName: SessionStateName;
  /** Where it goes, once that is known. */
  readonly upstream: Upstream | undefined;
  /** It waits for `upstream` or is connecting there: it may still go to another endpoint. */
  readonly isUnconnected: boolean;
  /** Bytes moved so far, both ways. */
  readonly bytesMoved: number;
  /** The client's address; empty when it has none any more. May cost a system call. */
  clientText(): string;
  describe(): SessionDetail;
  /** `upstream` is replaced by this one; called only while {@link isUnconnected}. */
  moveTo(upstream: Upstream): void;
  /** The worker accepts no more: end as soon as nothing is under way. */
  drain(): void;
  /** Ends now. */
  terminate(reason: CloseReason): void;
  onException(error: unknown): void;
}

/** A client's address, as asked of its socket; empty for one that was reset (ENOTCONN). */
export function peerText(kernel: Kernel, fd: number): string {
  const address = peerAddress(kernel, fd);
  return address === undefined ? '' : formatAddress(address);
}
