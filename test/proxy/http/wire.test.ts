import t, { type Test } from 'tap';
import { SocketOption } from '#src/splice/index.js';
import { plainHttp } from '#test/support/http-snapshot.js';
import type { RawPeer } from '#test/support/raw-peer.js';
import { SocketKit, socketTest } from '#test/support/socket-kit.js';
import { nothingLeft, TestRoom } from '#test/support/worker-room.js';
import {
  type Conversation,
  conversationFiles,
  readConversations,
  type Step,
  wireOf,
  writeConversations,
} from './wire-case.js';

/** Cut points tried of one conversation, each with sockets of its own. */
const CUTS_MAX = 24;

/** How the bytes of a step that says something are cut into segments. */
type Chop = (step: Step, index: number) => Buffer[];

const whole: Chop = ({ bytes }) => [bytes];
const eachByte: Chop = ({ bytes }) => Array.from(bytes, (byte) => Buffer.of(byte));

/** One conversation through a worker of its own. */
class Talk {
  private readonly room: TestRoom;
  private readonly peers = new Map<string, RawPeer>();
  private readonly heard = new Map<RawPeer, number>();
  private clients = 0;
  private upstreams = 0;

  constructor(kit: SocketKit) {
    this.room = new TestRoom(kit, { http: plainHttp });
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

  finish(t: Test): void {
    t.same(this.room.finish(), nothingLeft);
    t.equal(this.room.count('exceptions'), 0);
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

  private see(peer: RawPeer, expected: Buffer): string | undefined {
    const before = this.heard.get(peer) ?? 0;
    // Nothing that is made up as it is sent is longer or shorter than in the case.
    this.wait(peer, () => peer.receivedBytes >= before + expected.length || peer.isEnded);
    const seen = this.unheard(peer).subarray(0, expected.length);
    this.heard.set(peer, before + seen.length);
    return seen.equals(expected) ? undefined : `${wireOf(seen)}instead of\n${wireOf(expected)}`;
  }

  /** What has come and was not looked at, with another date. */
  private unheard(peer: RawPeer): Buffer {
    const text = peer.received.subarray(this.heard.get(peer) ?? 0).toString('latin1');
    return Buffer.from(text.replace(/^Date: .{29}/m, `Date: ${'.'.repeat(29)}`), 'latin1');
  }

  private peer({ side, connection }: Step): RawPeer {
    const name = `${side} ${connection}`;
    const known = this.peers.get(name);
    if (known !== undefined) return known;
    this.room.settle(10);
    if (side === 'client' && connection !== ++this.clients) throw new Error(`${name} comes early`);
    if (side === 'upstream' && connection !== ++this.upstreams)
      throw new Error(`${name} too early`);
    const peer = side === 'client' ? this.room.client() : this.room.upstream();
    // Or Nagle's algorithm would put the bytes together again.
    peer.set(SocketOption.IPPROTO_TCP, SocketOption.TCP_NODELAY, 1);
    this.peers.set(name, peer);
    return peer;
  }

  private wait(peer: RawPeer, isSo: () => boolean): void {
    const deadline = Date.now() + 1000;
    while (Date.now() < deadline) {
      peer.receive();
      if (isSo() || peer.errno !== 0) return;
      this.room.settle(5);
    }
  }
}

/** Cuts one segment in two where a parser changes its mind: around line ends and colons. */
function* cuts(steps: readonly Step[]): Generator<Chop> {
  const places = steps.flatMap(({ action, bytes }, index) =>
    action !== 'says'
      ? []
      : [...bytes.keys()]
          .filter((at) => at > 0 && /[\r\n:]/.test(bytes.toString('latin1', at - 1, at + 1)))
          .map((at) => ({ index, at })),
  );
  const step = Math.max(1, places.length / CUTS_MAX);
  for (let place = 0; place < places.length; place += step) {
    const { index, at } = places[Math.floor(place)]!;
    yield ({ bytes }, stepIndex) =>
      stepIndex === index ? [bytes.subarray(0, at), bytes.subarray(at)] : [bytes];
  }
}

function converse(t: Test, kit: SocketKit, { steps }: Conversation, chop: Chop, how: string): void {
  const talk = new Talk(kit);
  const problem = talk.run(steps, chop);
  if (problem === undefined) t.pass(how);
  else t.fail(`${how}: ${problem}`);
  talk.finish(t);
}

for (const file of conversationFiles()) {
  const conversations = readConversations(file);
  if (process.env.UPDATE) {
    const recorded = conversations.map(({ name, steps }) => {
      const kit = new SocketKit();
      try {
        return { name, steps: new Talk(kit).record(steps) };
      } finally {
        kit.closeAll();
      }
    });
    writeConversations(file, recorded);
    continue;
  }
  for (const conversation of conversations) {
    socketTest(`wire: ${file}: ${conversation.name}`, (t, kit) => {
      converse(t, kit, conversation, whole, 'whole');
      converse(t, kit, conversation, eachByte, 'byte by byte');
      for (const chop of cuts(conversation.steps)) converse(t, kit, conversation, chop, 'cut');
    });
  }
}

t.test('wire: there is something to look at', async (t) => {
  t.ok(conversationFiles().length > 0);
});
