import { SocketOption } from '#src/splice/index.js';
import { type ExchangeRig, exchangeTest, GET, OK } from '#test/support/http/exchange-rig.js';
import { payload } from '#test/support/random.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';

const PIECE = Buffer.alloc(1000, 'x');
const PIECES = 100;

/** Sends piece by piece, each in a segment of its own. @returns events that the worker was woken for */
function eventsOf(rig: ExchangeRig, peer: RawPeer, pieces = PIECES): number {
  peer.set(SocketOption.IPPROTO_TCP, SocketOption.TCP_NODELAY, 1);
  const before = rig.room.count('events');
  for (let piece = 0; piece < pieces; piece++) {
    peer.send(PIECE);
    rig.room.settle(5);
  }
  return rig.room.count('events') - before;
}

/** Sends until nothing moves any more. @returns bytes sent */
function fill(rig: ExchangeRig, peer: RawPeer): number {
  let sent = 0;
  for (let still = 0; still < 20; ) {
    const now = peer.send(Buffer.alloc(65_536, 'x'));
    sent += now;
    still = now === 0 ? still + 1 : 0;
    rig.room.settle(5);
  }
  return sent;
}

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n';

exchangeTest(
  'muting: what an endpoint sends while the client takes nothing wakes nobody',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const upstream = rig.upstream();
    rig.say(upstream, HEAD);
    // Until the client's socket is full; the endpoint's still has room.
    let sent = 0;
    const isHolding = () => {
      const [session] = rig.room.sessions();
      return session!.describe().down.state === 'blocked';
    };
    while (!isHolding()) {
      sent += upstream.send(Buffer.alloc(65_536, 'x'));
      rig.room.settle(5);
    }
    const events = eventsOf(rig, upstream);
    sent += PIECES * PIECE.length;
    t.ok(events <= 2, `${events} events`);
    client.receive();
    rig.room.until(() => {
      client.receive();
      return client.receivedBytes >= HEAD.length + sent;
    });
    t.equal(client.receivedBytes, HEAD.length + sent, 'nothing was forgotten');
    rig.say(upstream, 'more');
    rig.room.until(() => {
      client.receive();
      return client.receivedBytes >= HEAD.length + sent + 4;
    });
    t.ok(eventsOf(rig, upstream, 10) >= 10, 'it is listened to again');
  },
);

exchangeTest(
  'muting: what a client sends while the endpoint takes nothing wakes nobody',
  (rig, t) => {
    const client = rig.room.client();
    const head = 'PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n';
    rig.say(client, head);
    const upstream = rig.upstream();
    let sent = 0;
    const isHolding = () => {
      const [session] = rig.room.sessions();
      return session!.describe().up.state === 'blocked';
    };
    while (!isHolding()) {
      sent += client.send(Buffer.alloc(65_536, 'x'));
      rig.room.settle(5);
    }
    const events = eventsOf(rig, client);
    sent += PIECES * PIECE.length;
    t.ok(events <= 2, `${events} events`);
    rig.room.until(() => {
      upstream.receive();
      return upstream.receivedBytes >= head.length + sent;
    });
    t.equal(upstream.receivedBytes, head.length + sent, 'nothing was forgotten');
    t.ok(eventsOf(rig, client, 10) >= 10, 'it is listened to again');
  },
);

exchangeTest('muting: requests that wait for their turn wake nobody, and get it', (rig, t) => {
  const { client, upstream } = rig.begin();
  const before = rig.room.count('events');
  for (let count = 0; count < 50; count++) rig.say(client, GET);
  const events = rig.room.count('events') - before;
  t.ok(events <= 2, `${events} events`);
  for (let count = 0; count < 51; count++) {
    rig.relay(upstream, client, OK);
    if (count < 50) rig.hear(upstream, GET);
  }
  rig.relay(client, upstream, GET);
  rig.relay(upstream, client, OK);
});

exchangeTest('muting: bytes behind a request wait for a tunnel, and go through it', (rig, t) => {
  const client = rig.room.client();
  const upgrade = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n';
  rig.say(client, upgrade);
  const upstream = rig.upstream();
  rig.room.until(() => upstream.receive() > 0);
  const before = upstream.receivedBytes;
  const events = eventsOf(rig, client, 50);
  t.ok(events <= 2, `${events} events`);
  rig.say(upstream, 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\n');
  rig.hearStatus(client, 101);
  rig.room.until(() => {
    upstream.receive();
    return upstream.receivedBytes >= before + 50 * PIECE.length;
  });
  rig.say(client, 'more');
  rig.room.until(() => upstream.receive() > 0);
});

exchangeTest('muting: a connection that was muted is heard in the pool', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET);
  const upstream = rig.upstream();
  const body = payload(7, 8 * 1024 * 1024);
  rig.say(upstream, `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
  let sent = 0;
  rig.room.until(() => {
    sent += upstream.send(body.subarray(sent, sent + 30_000));
    if (sent > 6_000_000) client.receive();
    return sent === body.length;
  }, 8000);
  rig.room.until(() => {
    client.receive();
    return rig.room.http.upstreams.idle === 1;
  });
  rig.say(upstream, 'unasked');
  t.equal(rig.room.http.upstreams.idle, 0, 'bytes that nobody asked for end it');
});

for (const side of ['client', 'endpoint'] as const) {
  exchangeTest(
    `muting: a ${side} that goes away while the other takes nothing makes no spin`,
    (rig, t) => {
      const client = rig.room.client();
      rig.say(
        client,
        side === 'client' ? 'PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n' : GET,
      );
      const upstream = rig.upstream();
      if (side === 'endpoint') rig.say(upstream, HEAD);
      const peer = side === 'client' ? client : upstream;
      fill(rig, peer);
      peer.reset();
      rig.room.settle(20);
      const before = rig.room.count('events');
      rig.room.settle(100);
      t.ok(rig.room.count('events') - before <= 2, `${rig.room.count('events') - before} events`);
      t.equal(
        rig.room.clock.wheel.size > 0 || rig.room.sessions().length === 0,
        true,
        'it ends some time',
      );
      const other = side === 'client' ? upstream : client;
      rig.room.until(() => {
        other.receive();
        return other.errno !== 0 || other.isEnded;
      });
      t.not(other.errno, 0, 'half a body is followed by a reset');
    },
  );
}
