// One golden conversation through a worker of its own: over plain TCP, or over TLS on both sides.
import type { Test } from 'tap';
import { SocketOption } from '#src/splice/index.js';
import type { ClientContext, ServerContexts } from '#src/tls/index.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import type { SocketKit } from '#test/support/sockets/socket-kit.js';
import { TlsPeer } from '#test/support/tls/tls-peer.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';
import { matchOf, routeOf } from './requests.js';
import { type Step, wireOf } from './wire-case.js';

/** How the bytes of a step that says something are cut into segments. */
export type Chop = (step: Step, index: number) => Buffer[];

export const whole: Chop = ({ bytes }) => [bytes];
export const eachByte: Chop = ({ bytes }) => Array.from(bytes, (byte) => Buffer.of(byte));

/** What both sides need to speak TLS: the listener's and the endpoint's certificate, and who trusts them. */
export interface TalkTls {
  readonly server: ServerContexts;
  readonly client: ClientContext;
}

type Peer = RawPeer | TlsPeer;

/** A place in a conversation: so many steps, and so many bytes of the one that follows. */
export interface Moment {
  readonly steps: number;
  readonly bytes: number;
}

/** How a conversation is held, where it matters. */
export interface TalkOptions {
  readonly tls?: TalkTls | undefined;
  /** Reads and writes of one turn are made together. */
  readonly sharesCalls?: boolean;
}

/** What comes back by `/edited` has a field of the route's own, and is without some of the endpoint's. */
const edited = routeOf({
  name: 'edited',
  match: matchOf({ paths: [{ kind: 'exact', text: '/edited' }] }),
  responseHeaders: {
    set: [{ name: 'X-Set', value: ['here'] }],
    add: [],
    remove: ['x-secret', 'x-int-*'],
  },
});

const http = { ...plainHttp, routes: [edited, ...plainHttp.routes] };

export class Talk {
  readonly room: TestRoom;
  private readonly tls: TalkTls | undefined;
  private readonly peers = new Map<string, Peer>();
  private readonly heard = new Map<Peer, number>();
  private clients = 0;
  private upstreams = 0;

  constructor(
    private readonly kit: SocketKit,
    { tls, sharesCalls = false }: TalkOptions = {},
  ) {
    this.tls = tls;
    const secure = tls && {
      tls: { contexts: tls.server, kernel: 'off' as const },
      upstreamTls: { context: tls.client, kernel: 'off' as const },
    };
    this.room = new TestRoom(kit, { http, sharesCalls, ...secure });
  }

  /** @returns what is wrong, or undefined */
  run(steps: readonly Step[], chop: Chop): string | undefined {
    for (const [index, step] of steps.entries()) {
      const problem = this.take(step, index, chop);
      if (problem !== undefined)
        return `step ${index + 1}, ${step.side} ${step.action}: ${problem}`;
    }
    this.room.settle(5);
    for (const [name, peer] of this.peers) {
      peer.receive();
      const more = peer.received.subarray(this.heard.get(peer) ?? 0);
      if (more.length > 0) return `${name} saw more: ${more.toString('latin1')}`;
    }
    return undefined;
  }

  /** The same steps with what was really seen. */
  record(steps: readonly Step[]): Step[] {
    return steps.map((step, index) => {
      if (step.action !== 'sees') {
        this.take(step, index, whole);
        return step;
      }
      const peer = this.peer(step);
      this.room.settle(40);
      peer.receive();
      const bytes = this.unheard(peer);
      this.heard.set(peer, peer.receivedBytes);
      return { ...step, bytes, wire: wireOf(bytes) };
    });
  }

  /** Takes the conversation as far as that. @returns what is wrong, or undefined */
  runUntil(steps: readonly Step[], { steps: count, bytes }: Moment): string | undefined {
    for (const [index, step] of steps.slice(0, count).entries()) {
      const problem = this.take(step, index, whole);
      if (problem !== undefined)
        return `step ${index + 1}, ${step.side} ${step.action}: ${problem}`;
    }
    const step = steps[count];
    if (step?.action === 'says' && bytes > 0) {
      this.peer(step).send(step.bytes.subarray(0, bytes));
      this.room.settle(2);
    }
    return undefined;
  }

  /** The peers of one side that are there, in the order in which they came. */
  peersOf(side: Step['side']): Peer[] {
    return [...this.peers].filter(([name]) => name.startsWith(side)).map(([, peer]) => peer);
  }

  finish(t: Test): void {
    t.same(this.room.finish(), nothingLeft);
    t.equal(this.room.count('exceptions'), 0);
    if (this.tls !== undefined) for (const peer of this.peers.values()) peer.close();
  }

  private take(step: Step, index: number, chop: Chop): string | undefined {
    const peer = this.peer(step);
    switch (step.action) {
      case 'says':
        for (const piece of chop(step, index)) {
          peer.send(piece);
          this.room.settle(3);
        }
        return undefined;
      case 'ends':
        peer.end();
        this.room.settle(3);
        return undefined;
      case 'resets':
        peer.reset();
        this.room.settle(3);
        return undefined;
      case 'sees':
        return this.see(peer, step.bytes);
      case 'sees the end':
        this.wait(peer, () => peer.isEnded);
        return peer.isEnded ? undefined : `no end, but ${peer.errno}`;
      case 'sees a reset':
        this.wait(peer, () => peer.errno !== 0);
        return peer.errno === 0 ? 'no reset' : undefined;
    }
  }

  private see(peer: Peer, expected: Buffer): string | undefined {
    const before = this.heard.get(peer) ?? 0;
    // Nothing that is made up as it is sent is longer or shorter than in the case.
    this.wait(peer, () => peer.receivedBytes >= before + expected.length || peer.isEnded);
    const seen = this.unheard(peer).subarray(0, expected.length);
    this.heard.set(peer, before + seen.length);
    return seen.equals(expected) ? undefined : `${wireOf(seen)}instead of\n${wireOf(expected)}`;
  }

  /** What has come and was not looked at, with another date. */
  private unheard(peer: Peer): Buffer {
    const text = peer.received.subarray(this.heard.get(peer) ?? 0).toString('latin1');
    return Buffer.from(text.replace(/^Date: .{29}/m, `Date: ${'.'.repeat(29)}`), 'latin1');
  }

  private peer({ side, connection }: Step): Peer {
    const name = `${side} ${connection}`;
    const known = this.peers.get(name);
    if (known !== undefined) return known;
    this.room.settle(10);
    if (side === 'client' && connection !== ++this.clients) throw new Error(`${name} comes early`);
    if (side === 'upstream' && connection !== ++this.upstreams)
      throw new Error(`${name} too early`);
    const socket = side === 'client' ? this.room.client() : this.room.upstream();
    // Or Nagle's algorithm would put the bytes together again.
    socket.set(SocketOption.IPPROTO_TCP, SocketOption.TCP_NODELAY, 1);
    const peer = this.secured(side, socket);
    this.peers.set(name, peer);
    return peer;
  }

  private secured(side: Step['side'], socket: RawPeer): Peer {
    const { tls, room } = this;
    if (tls === undefined) return socket;
    return TlsPeer.secure(this.kit, socket, tls[side === 'client' ? 'client' : 'server'], () =>
      room.settle(1),
    );
  }

  private wait(peer: Peer, isSo: () => boolean): void {
    const deadline = Date.now() + 1000;
    while (Date.now() < deadline) {
      const taken = peer.receive();
      if (isSo() || (peer.errno !== 0 && taken === 0)) return;
      this.room.settle(5);
    }
  }
}
