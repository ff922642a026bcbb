// One worker that speaks HTTP, turned by hand: what a test says on either side, and what it expects to hear.
import type { Test } from 'tap';
import type { RawPeer } from '../sockets/raw-peer.js';
import { type SocketKit, socketTest } from '../sockets/socket-kit.js';
import { nothingLeft, type RoomOptions, TestRoom } from '../worker/worker-room.js';
import { plainHttp } from './http-snapshot.js';

export const GET = 'GET /a HTTP/1.1\r\nHost: x\r\n\r\n';
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A worker that speaks HTTP, with what a test says and expects on either side. */
export class ExchangeRig {
  readonly room: TestRoom;

  constructor(
    readonly t: Test,
    kit: SocketKit,
    options: RoomOptions = {},
  ) {
    this.room = new TestRoom(kit, { http: plainHttp, ...options });
  }

  /** Sends, and lets the worker work. */
  say(peer: RawPeer, text: string | Buffer): void {
    peer.send(Buffer.from(text as string, 'latin1'));
    this.room.settle();
  }

  /** What one side says comes to the other as it is. */
  relay(from: RawPeer, to: RawPeer, text: string): void {
    this.say(from, text);
    this.hear(to, text);
  }

  /** A new client, its first request, and the connection on which that came to the origin. */
  begin(request: string = GET): { client: RawPeer; upstream: RawPeer } {
    const client = this.room.client();
    this.say(client, request);
    const upstream = this.upstream();
    this.hear(upstream, request);
    return { client, upstream };
  }

  /** What has come since the last look, once it is as long as expected. */
  hear(peer: RawPeer, expected: string): void {
    const before = this.heard.get(peer) ?? 0;
    this.room.until(() => {
      peer.receive();
      return peer.receivedBytes >= before + expected.length || peer.isEnded || peer.errno !== 0;
    });
    const text = peer.received.subarray(before).toString('latin1');
    this.heard.set(peer, peer.receivedBytes);
    this.t.equal(text, expected);
  }

  /** The peer's stream has ended in good order. */
  expectEnd(peer: RawPeer): void {
    this.room.until(() => {
      peer.receive();
      return peer.isEnded || peer.errno !== 0;
    });
    this.t.equal(peer.errno, 0);
  }

  expectReset(peer: RawPeer): void {
    this.room.until(() => {
      peer.receive();
      return peer.isEnded || peer.errno !== 0;
    });
    this.t.not(peer.errno, 0, 'a reset');
  }

  /** A connection was made to the origin: its other end. */
  upstream(): RawPeer {
    this.room.settle();
    return this.room.upstream();
  }

  /** The first line that the peer has heard beyond what was looked at. */
  hearStatus(peer: RawPeer, status: number): void {
    const before = this.heard.get(peer) ?? 0;
    this.room.until(() => {
      peer.receive();
      return peer.received.indexOf('\r\n\r\n', before) >= 0 || peer.isEnded;
    });
    const text = peer.received.subarray(before).toString('latin1');
    this.heard.set(peer, peer.receivedBytes);
    this.t.equal(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), status);
  }

  finish(): void {
    this.t.same(this.room.finish(), nothingLeft);
    this.t.equal(this.room.count('exceptions'), 0);
  }

  private readonly heard = new Map<RawPeer, number>();
}

export function exchangeTest(
  name: string,
  body: (rig: ExchangeRig, t: Test, kit: SocketKit) => void,
  options: RoomOptions = {},
): void {
  socketTest(`exchange: ${name}`, (t, kit) => {
    const rig = new ExchangeRig(t, kit, options);
    body(rig, t, kit);
    rig.finish();
  });
}
