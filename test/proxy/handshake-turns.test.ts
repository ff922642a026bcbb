// Many handshakes at once: which of them goes on in a turn of the loop, and what becomes of everybody else.
import { HandshakeTurns } from '#src/proxy/handshake-turns.js';
import { Epoll } from '#src/splice/index.js';
import { type ClientContext, Handshake, loadOpenSsl } from '#src/tls/index.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { clientContext, room as clientRoom, serverContexts } from '#test/support/tls/tls-pair.js';
import { TlsPeer } from '#test/support/tls/tls-peer.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';

const CLIENTS = 20;

interface Rig {
  readonly room: TestRoom;
  readonly context: ClientContext;
  /** Steps of servers' handshakes so far, by SSL. */
  readonly steps: number[];
  finish(): Record<string, number>;
}

/** @param stepMs how long each step takes, by the worker's clock */
function makeRig(kit: SocketKit, stepMs: number, isHttp = false): Rig {
  const steps: number[] = [];
  const real = loadOpenSsl();
  const openssl = {
    ...real,
    SSL_do_handshake: (ssl: number) => {
      steps.push(ssl);
      return real.SSL_do_handshake(ssl);
    },
  };
  const contexts = serverContexts({}, { kernel: false }, openssl);
  const context = clientContext();
  const timeouts = { tlsHandshakeMs: 5000 };
  const tls = { contexts, kernel: 'off' as const };
  const room = new TestRoom(kit, { timeouts, tls, ...(isHttp && { http: plainHttp }) });
  let nowMs = 0;
  (room.kernel as { monotonicMs: () => number }).monotonicMs = () => {
    nowMs += stepMs;
    return nowMs;
  };
  const finish = () => {
    const left = room.finish();
    contexts.release();
    context.release();
    return left;
  };
  return { room, context, steps, finish };
}

/** A client that has sent its ClientHello. */
function greet(kit: SocketKit, { room, context }: Rig): { peer: RawPeer; handshake: Handshake } {
  const peer = room.client();
  const handshake = Handshake.connect(clientRoom, context, peer.fd, true, '127.0.0.1', '1');
  handshake.advance(0);
  kit.disown(peer.fd);
  return { peer, handshake };
}

for (const isHttp of [false, true]) {
  const what = isHttp ? 'HTTP' : 'TCP';
  socketTest(
    `handshake turns: one after the other, and others meanwhile, ${what}`,
    async (t, kit) => {
      const rig = makeRig(kit, 1, isHttp);
      const { room, steps } = rig;
      const established = TlsPeer.secure(kit, room.client(), rig.context, () => room.clock.turn());
      const clients = Array.from({ length: CLIENTS }, () => greet(kit, rig));
      steps.length = 0;
      const order: number[] = [];
      let turns = 0;
      const request = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
      established.send(Buffer.from(request));
      for (; order.length < CLIENTS && turns < 100; turns++) {
        room.clock.turn();
        t.ok(steps.length <= 2, 'one step a turn, and the first before there is a line');
        for (const ssl of steps.splice(0)) if (!order.includes(ssl)) order.push(ssl);
        if (turns === 6) {
          t.ok(order.length < CLIENTS, 'while others wait in line');
          const upstream = room.upstream();
          upstream.receive();
          t.match(upstream.received.toString(), isHttp ? 'GET / HTTP/1.1' : request);
        }
      }
      t.equal(order.length, CLIENTS, 'everybody in turn');
      t.ok(room.count('handshakes_delayed') >= CLIENTS - 1);
      for (const { handshake } of clients) {
        room.until(() => handshake.advance(0) !== 0);
        t.equal(handshake.failure, undefined);
        room.until(() => room.sessions().length === CLIENTS + 1);
      }
      for (const { handshake } of clients) handshake.takeOver().close();
      established.close();
      room.settle();
      t.same(rig.finish(), nothingLeft);
    },
  );
}

socketTest('handshake turns: those that take no time need no line', async (t, kit) => {
  const rig = makeRig(kit, 0);
  const { room, steps } = rig;
  const clients = Array.from({ length: CLIENTS }, () => greet(kit, rig));
  room.until(() => room.sessions().length === CLIENTS);
  room.until(() => new Set(steps).size === CLIENTS);
  const turns = room.count('loop_turns');
  t.ok(turns < CLIENTS, `${turns} turns`);
  t.equal(room.count('handshakes_delayed'), 0);
  for (const { handshake, peer } of clients) {
    handshake.release();
    peer.close();
  }
  room.settle();
  t.same(rig.finish(), nothingLeft);
});

socketTest('handshake turns: who leaves, or is thrown out, leaves the line', async (t, kit) => {
  const rig = makeRig(kit, 1);
  const { room, steps } = rig;
  const clients = Array.from({ length: CLIENTS }, () => greet(kit, rig));
  room.until(() => room.sessions().length === CLIENTS);
  steps.length = 0;
  const [first, second, ...others] = clients;
  for (const { handshake, peer } of [first!, second!]) {
    handshake.release();
    peer.reset();
  }
  // Their descriptors are free, and used anew at once, while their places in line are still there.
  for (const session of room.sessions().slice(2, 6)) session.terminate('stopped');
  const late = Array.from({ length: 4 }, () => greet(kit, rig));
  room.settle(60);
  const done = [...others, ...late].filter(({ handshake }) => handshake.advance(0) === 1);
  room.settle(60);
  t.equal(done.length, CLIENTS - 2 - 4 + late.length);
  t.equal(room.sessions().length, done.length);
  t.equal(room.count('exceptions'), 0);
  for (const { handshake, peer } of [...others, ...late]) {
    if (handshake.state === 2) handshake.takeOver().close();
    else peer.close();
  }
  room.settle();
  t.same(rig.finish(), nothingLeft);
});

socketTest('handshake turns: the time for a handshake passes in line, too', async (t, kit) => {
  const rig = makeRig(kit, 1);
  const { room } = rig;
  const clients = Array.from({ length: CLIENTS }, () => greet(kit, rig));
  room.until(() => room.sessions().length === CLIENTS);
  room.nowMs += 6000;
  room.settle();
  t.equal(room.closed('tls_timeout'), CLIENTS);
  for (const { handshake, peer } of clients) {
    handshake.release();
    peer.close();
  }
  t.same(rig.finish(), nothingLeft);
});

socketTest(
  'handshake turns: who waits in line when the proxy stops has not been silent',
  async (t, kit) => {
    const rig = makeRig(kit, 1);
    const { room } = rig;
    const clients = Array.from({ length: CLIENTS }, () => greet(kit, rig));
    room.until(() => room.sessions().length === CLIENTS);
    room.isDraining = true;
    for (const session of room.sessions()) session.drain();
    room.nowMs += 1100;
    room.clock.turn();
    t.equal(room.closed('drained'), 0);
    room.settle(40);
    for (const { handshake } of clients) {
      t.equal(handshake.advance(0), 1);
      handshake.takeOver().close();
    }
    room.settle(40);
    t.same(rig.finish(), nothingLeft);
  },
);

socketTest('handshake turns: events of one that waits come together', async (t, kit) => {
  const rig = makeRig(kit, 1);
  const { clock } = rig.room;
  const told: number[] = [];
  const handler = {
    generation: 0,
    onEvents: (events: number) => told.push(events),
    onException: (error: unknown) => {
      throw error;
    },
  };
  const { near, far } = kit.pair();
  const turns = new HandshakeTurns(rig.room.kernel, clock, rig.room.counters);
  t.equal(
    turns.admit(near, Epoll.EPOLLIN, 'client'),
    true,
    'one that is not registered does not wait',
  );
  clock.register(near, Epoll.EPOLLPRI, handler);
  turns.end(turns.begin());
  t.equal(turns.admit(near, Epoll.EPOLLIN, 'client'), false);
  t.equal(turns.admit(near, Epoll.EPOLLRDHUP, 'client'), false);
  clock.turn();
  t.same(told, [Epoll.EPOLLIN | Epoll.EPOLLRDHUP]);
  clock.turn();
  t.equal(told.length, 1);
  clock.forget(near);
  far.close();
  t.same(rig.finish(), nothingLeft);
});

socketTest('handshake turns: those with endpoints go first', async (t, kit) => {
  const rig = makeRig(kit, 1);
  const { clock } = rig.room;
  const turns = new HandshakeTurns(rig.room.kernel, clock, rig.room.counters);
  const served: string[] = [];
  const wait = (name: string, side: 'client' | 'upstream'): void => {
    const { near } = kit.pair();
    const handler = {
      generation: 0,
      onEvents: () => {
        t.ok(turns.admit(near, 1, side), 'whose turn it is');
        turns.end(turns.begin());
        served.push(name);
      },
      onException: (error: unknown) => {
        throw error;
      },
    };
    clock.register(near, Epoll.EPOLLPRI, handler);
    t.equal(turns.admit(near, Epoll.EPOLLIN, side), false);
  };
  t.ok(turns.admit(0, Epoll.EPOLLIN, 'client'));
  turns.end(turns.begin());
  for (const name of ['c1', 'c2', 'c3']) wait(name, 'client');
  for (const name of ['u1', 'u2']) wait(name, 'upstream');
  clock.turn();
  t.same(served.splice(0), ['u1', 'c1'], 'one of each a turn');
  wait('u3', 'upstream');
  clock.turn();
  t.same(served.splice(0), ['u2', 'c2']);
  clock.turn();
  t.same(served.splice(0), ['u3', 'c3']);
  clock.turn();
  t.same(served, []);
  t.same(rig.finish(), nothingLeft);
});
