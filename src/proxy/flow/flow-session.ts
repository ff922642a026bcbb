import type { CloseReason } from '../counters.js';
import { DialState } from '../dial.js';
import { peerText, type Session, type SessionDetail } from '../session.js';
import type { SessionStateName } from '../session-state.js';
import { describeTls } from '../tls-status.js';
import type { Upstream } from '../upstream/index.js';
import { describeDirection } from './direction-status.js';
import type { Flow } from './flow.js';
import { FlowState } from './flow-state.js';
import { bytesMoved } from './path-taken.js';

/** A flow as its worker sees it; made when the worker looks, so that a flow need not carry it. */
export class FlowSession implements Session {
  constructor(private readonly flow: Flow) {}

  get sequence() {
    return this.flow.sequence;
  }

  get listener() {
    return this.flow.listener;
  }

  get startedMs() {
    return this.flow.startedMs;
  }

  get stateName() {
    return stateName(this.flow);
  }

  get upstream() {
    return this.flow.attempts?.upstream;
  }

  get isUnconnected() {
    return this.flow.state === FlowState.dialling;
  }

  get bytesMoved() {
    const { tunnel } = this.flow;
    return bytesMoved(tunnel?.up) + bytesMoved(tunnel?.down);
  }

  /** Without an access log nobody has asked for the address when the client came. */
  clientText(): string {
    const { clientText, room, client } = this.flow;
    return clientText === '' ? peerText(room.kernel, client.transport.fd) : clientText;
  }

  describe(): SessionDetail {
    const { attempts, tunnel, lastActivityMs, connectMs } = this.flow;
    return {
      endpoint: attempts?.endpoint?.text,
      lastActivityMs,
      connectMs,
      tls: describeTls(this.flow.tls),
      upstreamTls: describeTls(this.flow.dial?.tls),
      mirror: this.flow.shadow?.status,
      capture: this.flow.capture?.id,
      up: describeDirection(tunnel?.up, tunnel?.isUpOver ?? false, tunnel?.isUpSecure),
      down: describeDirection(tunnel?.down, tunnel?.isDownOver ?? false, tunnel?.isDownSecure),
    };
  }

  moveTo(upstream: Upstream): void {
    this.flow.dial!.moveTo(upstream);
  }

  drain(): void {
    this.flow.drain();
  }

  terminate(reason: CloseReason): void {
    this.flow.terminate(reason);
  }

  onException(error: unknown): void {
    this.flow.onException(error);
  }
}

function stateName({ state, dial }: Flow): SessionStateName {
  switch (state) {
    case FlowState.readingHead:
      return 'readingHead';
    case FlowState.securing:
      return 'securing';
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

function dialStateName(state: DialState): SessionStateName {
  if (state === DialState.queued) return 'queued';
  if (state === DialState.securing) return 'securingUpstream';
  return state === DialState.choosing ? 'accepted' : 'connecting';
}
