import { Outcome, SocketOption, setOption, type Transport } from '../../splice/index.js';
import type { EventHandler } from '../event-loop.js';
import { type Flow, flowKey } from '../flow/index.js';
import { proxiedClient } from '../proxy-sender.js';
import { SOCKET_EVENTS } from '../socket-events.js';
import { DISCARD_BYTES, Shadow, ShadowState } from './shadow.js';

/** Calls that drop bytes before others get their turn. */
const DISCARDS_A_TURN_MAX = 16;
/**
 * An answer that nobody wants waits in the socket until there is so much of it, or its end: without an event and a
 * call for each small one. So much memory of the kernel a shadow may take.
 */
const WAKE_BYTES = 16 * 1024;

/**
 * The shadow of a flow: it has a FIN behind the client's last byte, and is closed once it has said its
 * own, or when the time is up that it has after the flow's end.
 */
export class FlowShadow extends Shadow implements EventHandler {
  generation = 0;
  private transport: Transport | undefined;
  private hasEnded = false;
  private isFlowOver = false;

  onEvents(events: number): void {
    this.transport!.notice(events);
    this.onConnectionEvents(events);
  }

  /** @param isOrderly the client was told of no loss, and the shadow need not be either */
  flowEnded(isOrderly: boolean): void {
    this.isFlowOver = true;
    if (!this.hasAll) this.ended(isOrderly);
    if (this.state === ShadowState.following || this.state === ShadowState.ending) {
      this.startDeadline();
    }
  }

  watch(transport: Transport): number {
    this.transport = transport;
    return this.room.clock.register(transport.fd, SOCKET_EVENTS, this);
  }

  unwatch(): void {
    this.room.clock.forget(this.transport!.fd);
    this.transport = undefined;
  }

  protected connected(): Transport {
    this.transport = this.dial.transport!;
    if (this.dial.tls === undefined) this.letAnswersWait(this.transport.fd);
    if (this.isFlowOver) this.startDeadline();
    return this.transport;
  }

  protected finishSending(transport: Transport): void {
    transport.shutdownWrite();
    this.endIfBothHave(transport);
  }

  protected readAnswer(transport: Transport): void {
    for (let calls = 0; transport.readable && !this.hasEnded; calls++) {
      if (calls === DISCARDS_A_TURN_MAX) {
        this.room.clock.defer(this);
        return;
      }
      switch (transport.discard(DISCARD_BYTES)) {
        case Outcome.Blocked:
          return;
        case Outcome.Eof:
          this.hasEnded = true;
          break;
        case Outcome.Failed:
          this.broke();
          return;
      }
    }
    this.endIfBothHave(transport);
  }

  protected onDeadline(): void {
    // The timer may be what the dial has left of it.
    if (!this.isFlowOver) return;
    if (this.state === ShadowState.following) this.cut('timeout');
    else this.end(true);
  }

  protected closeConnection(isOrderly: boolean): void {
    const { transport } = this;
    if (transport === undefined) return;
    this.transport = undefined;
    this.room.clock.forget(transport.fd);
    if (isOrderly) transport.close(this.room.clock.calls);
    else transport.reset();
  }

  /** Not with TLS: the kernel's reads records as they arrive, and would be told of them late. */
  private letAnswersWait(fd: number): void {
    const { SOL_SOCKET, SO_RCVLOWAT } = SocketOption;
    // Where it is refused there are more events, and nothing else.
    setOption(this.room.kernel, fd, SOL_SOCKET, SO_RCVLOWAT, WAKE_BYTES);
  }

  /** Both have said their last: with TLS ours may still wait for room. */
  private endIfBothHave(transport: Transport): void {
    const isOver = this.hasEnded && this.state === ShadowState.ending;
    if (isOver && !transport.isClosing) this.end(true);
  }

  private broke(): void {
    if (this.state === ShadowState.ending) this.end(false);
    else this.cut('reset');
  }
}

/** @returns the shadow of a flow of which it is known where it goes; nothing where it has none */
export function followFlow(flow: Flow): FlowShadow | undefined {
  const { mirror } = flow.listener;
  if (mirror === undefined || !mirror.takesNext()) return undefined;
  // The flow may have come in by the configuration before.
  const upstream = flow.room.currentUpstream(mirror.upstream);
  const sender = upstream.sendProxyProtocol;
  const client = sender && proxiedClient(flow, sender);
  if (client === null) return undefined;
  const key = upstream.isKeyed ? flowKey(flow) : 0;
  const shadow = new FlowShadow(flow.room, mirror, upstream, key, client);
  shadow.begin();
  return shadow;
}
