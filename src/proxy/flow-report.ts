import type { EventHandler } from './event-loop.js';
import { type DirectionStatus, round } from './flow/index.js';
import type { HttpStatus } from './http-status.js';
import type { MirrorStatus } from './mirror/index.js';
import type { Session } from './session.js';
import type { SessionStateName } from './session-state.js';
import type { TlsStatus } from './tls-status.js';

/** Which live flows somebody wants to see; what is left out does not matter. */
export interface FlowQuery {
  readonly listener?: string;
  readonly upstream?: string;
  /** The client's whole address, or its host: `192.0.2.1:40000` or `192.0.2.1`. */
  readonly client?: string;
  readonly state?: SessionStateName;
  /** `age`: the oldest first; `bytes`: those that moved most, both ways, first. */
  readonly sort: 'age' | 'bytes';
  /** At most so many are described. */
  readonly limit: number;
}

/** One live flow, in the words of the admin interface. */
export interface FlowStatus {
  /** `WORKER-SEQUENCE`; no two flows of a process have the same. */
  readonly id: string;
  readonly listener: string;
  readonly client: string;
  /** Absent until the head has said where the flow goes. */
  readonly upstream?: string;
  /** Absent until an endpoint was chosen. */
  readonly endpoint?: string;
  readonly state: SessionStateName;
  readonly age_ms: number;
  /** Since an event of either side. */
  readonly idle_ms: number;
  /** How long connecting to the endpoint took; absent until it has. */
  readonly connect_ms?: number;
  /** Of the client and of the upstream, where there is TLS. */
  readonly tls?: TlsStatus;
  readonly upstream_tls?: TlsStatus;
  /** Who gets a copy of what the client sends, if somebody does. */
  readonly mirror?: MirrorStatus;
  /** The id of its capture, where it is captured. */
  readonly capture?: string;
  /** What an HTTP connection does. */
  readonly http?: HttpStatus;
  readonly up: DirectionStatus;
  readonly down: DirectionStatus;
}

/** The live flows that match, the first of them described. */
export interface FlowList {
  readonly flows: readonly FlowStatus[];
  /** How many match, described or not. */
  readonly matched: number;
}

/**
 * Describes the live flows of one worker. Only flows that are shown are described: the rest cost a
 * few comparisons each, because meanwhile no byte moves. A filter by client costs a system call for
 * each flow.
 *
 * @param worker first part of the flows' names
 * @param handlers every handler of the worker's event loop
 * @param nowMs the loop's clock
 */
export function listFlows(
  worker: number,
  handlers: Iterable<EventHandler>,
  query: FlowQuery,
  nowMs: number,
): FlowList {
  const matching = [...sessionsOf(handlers)].filter((session) => matches(session, query));
  matching.sort(query.sort === 'age' ? byAge : byBytes);
  const flows = matching.slice(0, query.limit).map((session) => describe(worker, session, nowMs));
  return { flows, matched: matching.length };
}

/** The live session of that number, if it is still there. */
export function findSession(
  handlers: Iterable<EventHandler>,
  sequence: number,
): Session | undefined {
  for (const session of sessionsOf(handlers)) if (session.sequence === sequence) return session;
  return undefined;
}

/** Puts the lists of several workers together. */
export function mergeFlowLists(lists: readonly FlowList[], query: FlowQuery): FlowList {
  const order = query.sort === 'age' ? byStatusAge : byStatusBytes;
  return {
    flows: lists
      .flatMap(({ flows }) => flows)
      .sort(order)
      .slice(0, query.limit),
    matched: lists.reduce((sum, { matched }) => sum + matched, 0),
  };
}

/** Every session of a worker. @param handlers every handler of its event loop */
export function* sessionsOf(handlers: Iterable<EventHandler>): Generator<Session> {
  for (const { session } of handlers) if (session !== undefined) yield session;
}

function matches(session: Session, { listener, upstream, client, state }: FlowQuery): boolean {
  if (listener !== undefined && session.listener.snapshot.name !== listener) return false;
  if (upstream !== undefined && session.upstream?.name !== upstream) return false;
  if (state !== undefined && session.stateName !== state) return false;
  if (client === undefined) return true;
  const address = session.clientText();
  return address === client || hostOf(address) === client;
}

function describe(worker: number, session: Session, nowMs: number): FlowStatus {
  const { endpoint, lastActivityMs, connectMs, tls, upstreamTls, mirror, capture, http, up, down } =
    session.describe();
  return {
    id: `${worker}-${session.sequence}`,
    listener: session.listener.snapshot.name,
    client: session.clientText(),
    ...(session.upstream && { upstream: session.upstream.name }),
    ...(endpoint && { endpoint }),
    state: session.stateName,
    age_ms: Math.round(nowMs - session.startedMs),
    idle_ms: Math.round(nowMs - lastActivityMs),
    ...(connectMs >= 0 && { connect_ms: round(connectMs) }),
    ...(tls && { tls }),
    ...(upstreamTls && { upstream_tls: upstreamTls }),
    ...(mirror && { mirror }),
    ...(capture && { capture }),
    ...(http && { http }),
    up,
    down,
  };
}

/** `192.0.2.1:40000` → `192.0.2.1`, `[2001:db8::1]:40000` → `2001:db8::1`; a unix name stays. */
function hostOf(address: string): string {
  if (address.startsWith('unix:')) return address;
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

function byAge(one: Session, other: Session): number {
  return one.startedMs - other.startedMs;
}

function byBytes(one: Session, other: Session): number {
  return other.bytesMoved - one.bytesMoved;
}

function byStatusAge(one: FlowStatus, other: FlowStatus): number {
  return other.age_ms - one.age_ms;
}

function byStatusBytes(one: FlowStatus, other: FlowStatus): number {
  return other.up.bytes + other.down.bytes - one.up.bytes - one.down.bytes;
}
