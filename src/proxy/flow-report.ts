import { formatAddress, type Pump, peerAddress } from '../splice/index.js';
import { bytesMoved, type PathTaken, pathTaken } from './access-line.js';
import { DialState } from './dial.js';
import type { EventHandler } from './event-loop.js';
import type { Flow } from './flow.js';
import { FlowSide } from './flow-side.js';
import { FlowState } from './flow-state.js';

/** Which live flows somebody wants to see; what is left out does not matter. */
export interface FlowQuery {
  readonly listener?: string;
  readonly upstream?: string;
  /** The client's whole address, or its host: `192.0.2.1:40000` or `192.0.2.1`. */
  readonly client?: string;
  readonly state?: FlowStateName;
  /** `age`: the oldest first; `bytes`: those that moved most, both ways, first. */
  readonly sort: 'age' | 'bytes';
  /** At most so many are described. */
  readonly limit: number;
}

/** Where a flow is, in the words of the admin interface: its state, or how far its dial has come. */
export const flowStateNames = [
  'accepted',
  'readingHead',
  'queued',
  'connecting',
  'tunnelling',
  'halfClosed',
] as const;
export type FlowStateName = (typeof flowStateNames)[number];

/** `waiting`: nothing to move; `blocked`: bytes wait for the other side; `ended`: its FIN was passed on. */
export type DirectionState = 'none' | 'waiting' | 'blocked' | 'ended';

/** One direction of a live flow. */
export interface DirectionStatus {
  readonly bytes: number;
  readonly path: PathTaken;
  readonly state: DirectionState;
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
  readonly state: FlowStateName;
  readonly age_ms: number;
  /** Since an event of either side. */
  readonly idle_ms: number;
  /** How long connecting to the endpoint took; absent until it has. */
  readonly connect_ms?: number;
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
 */
export function listFlows(
  worker: number,
  handlers: Iterable<EventHandler>,
  query: FlowQuery,
): FlowList {
  const matching = [...liveFlows(handlers)].filter((flow) => matches(flow, query));
  matching.sort(query.sort === 'age' ? byAge : byBytes);
  const flows = matching.slice(0, query.limit).map((flow) => describe(worker, flow));
  return { flows, matched: matching.length };
}

/** The live flow of that number, if it is still there. */
export function findFlow(handlers: Iterable<EventHandler>, sequence: number): Flow | undefined {
  for (const flow of liveFlows(handlers)) if (flow.sequence === sequence) return flow;
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

/** A flow is there from its first registration to its last: its client's side stands for it. */
function* liveFlows(handlers: Iterable<EventHandler>): Generator<Flow> {
  for (const handler of handlers) {
    if (handler instanceof FlowSide && handler.flow.client === handler) yield handler.flow;
  }
}

function matches(flow: Flow, { listener, upstream, client, state }: FlowQuery): boolean {
  if (listener !== undefined && flow.listener.snapshot.name !== listener) return false;
  if (upstream !== undefined && flow.attempts?.upstream.name !== upstream) return false;
  if (state !== undefined && stateName(flow) !== state) return false;
  if (client === undefined) return true;
  const address = clientText(flow);
  return address === client || hostOf(address) === client;
}

function describe(worker: number, flow: Flow): FlowStatus {
  const { nowMs } = flow.room.clock;
  return {
    id: `${worker}-${flow.sequence}`,
    listener: flow.listener.snapshot.name,
    client: clientText(flow),
    ...(flow.attempts && { upstream: flow.attempts.upstream.name }),
    ...(flow.attempts?.endpoint && { endpoint: flow.attempts.endpoint.text }),
    state: stateName(flow),
    age_ms: Math.round(nowMs - flow.startedMs),
    idle_ms: Math.round(nowMs - flow.lastActivityMs),
    ...(flow.connectMs >= 0 && { connect_ms: Math.round(flow.connectMs * 1000) / 1000 }),
    up: describeDirection(flow.tunnel?.up, flow.tunnel?.isUpOver ?? false),
    down: describeDirection(flow.tunnel?.down, flow.tunnel?.isDownOver ?? false),
  };
}

function stateName({ state, dial }: Flow): FlowStateName {
  switch (state) {
    case FlowState.readingHead:
      return 'readingHead';
    case FlowState.dialling:
      return dialStateName(dial!.state);
    case FlowState.tunnelling:
      return 'tunnelling';
    case FlowState.halfClosed:
      return 'halfClosed';
    default:
      return 'accepted';
  }
}

function dialStateName(state: DialState): FlowStateName {
  if (state === DialState.queued) return 'queued';
  return state === DialState.choosing ? 'accepted' : 'connecting';
}

function describeDirection(pump: Pump | undefined, isOver: boolean): DirectionStatus {
  return { bytes: bytesMoved(pump), path: pathTaken(pump), state: directionState(pump, isOver) };
}

function directionState(pump: Pump | undefined, isOver: boolean): DirectionState {
  if (pump === undefined) return 'none';
  if (isOver) return 'ended';
  return pump.isHolding ? 'blocked' : 'waiting';
}

/** Without an access log nobody has asked for the address when the client came. */
function clientText(flow: Flow): string {
  if (flow.clientText !== '') return flow.clientText;
  const address = peerAddress(flow.room.kernel, flow.client.transport.fd);
  // A client that was reset has no address any more (ENOTCONN); its flow is about to end.
  return address === undefined ? '' : formatAddress(address);
}

/** `192.0.2.1:40000` → `192.0.2.1`, `[2001:db8::1]:40000` → `2001:db8::1`; a unix name stays. */
function hostOf(address: string): string {
  if (address.startsWith('unix:')) return address;
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

function byAge(one: Flow, other: Flow): number {
  return one.startedMs - other.startedMs;
}

function byBytes(one: Flow, other: Flow): number {
  return bothWays(other) - bothWays(one);
}

function bothWays({ tunnel }: Flow): number {
  return bytesMoved(tunnel?.up) + bytesMoved(tunnel?.down);
}

function byStatusAge(one: FlowStatus, other: FlowStatus): number {
  return other.age_ms - one.age_ms;
}

function byStatusBytes(one: FlowStatus, other: FlowStatus): number {
  return other.up.bytes + other.down.bytes - one.up.bytes - one.down.bytes;
}
