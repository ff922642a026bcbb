import type { HttpConnection } from '#src/proxy/http/connection/connection.js';
import type { RouteTimeouts } from '#src/proxy/http/http-snapshot.js';
import { latenessNames } from '#src/proxy/http/lateness.js';
import { Errno, SocketOption } from '#src/splice/index.js';
import { type ExchangeRig, exchangeTest, GET, OK } from '#test/support/http/exchange-rig.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { takeSome } from '#test/support/worker/take-some.js';
import type { RoomOptions } from '#test/support/worker/worker-room.js';
import { openGuard, routeOf } from '../requests.js';

/** asm-generic/socket.h */
const SO_RCVBUF = 8;

const unsaid: RouteTimeouts = {
  connectMs: null,
  idleMs: null,
  requestMs: null,
  responseMs: null,
  tunnelMs: null,
};

/** All requests take one route with these timeouts. */
function route(timeouts: Partial<RouteTimeouts>, bodyRateMin = 0): RoomOptions {
  const one = routeOf({
    timeouts: { ...unsaid, ...timeouts },
    guard: { ...openGuard, bodyRateMin },
  });
  return { http: { ...plainHttp, routes: [one] }, logsAccess: true };
}

const POST = 'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n';
const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n';

/** Says a byte at a time, so often that nobody is ever idle. @returns those that were said before the peer was gone */
function drip(rig: ExchangeRig, peer: RawPeer, text: string, everyMs: number): number {
  peer.set(SocketOption.IPPROTO_TCP, SocketOption.TCP_NODELAY, 1);
  let said = 0;
  for (; said < text.length && peer.errno === 0 && !peer.isEnded; said++) {
    rig.say(peer, text[said]!);
    rig.room.pass(everyMs);
    peer.receive();
  }
  return said;
}

/** What was counted of requests that took too long. */
function late({ room }: ExchangeRig): Record<string, number> {
  const [service] = room.services;
  const { counters } = service!.policy.routes[0]!;
  const counts = latenessNames.map((name, index) => [name, counters.lateFor(index)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

/** Connections to endpoints stay as they were begun, and nobody hears of them. @returns what ends that */
function neverConnect({ room: { libc } }: ExchangeRig): () => void {
  const begun = new Set<number>();
  libc.script('connect', ([fd]) => {
    begun.add(fd!);
    return -Errno.EINPROGRESS;
  });
  libc.script('epoll_ctl', (args, real) => (begun.has(args[2]!) ? 0 : real(...args)));
  return () => {
    libc.script('connect');
    libc.script('epoll_ctl');
  };
}

function lines({ room }: ExchangeRig): Record<string, unknown>[] {
  return room.lines.filter(({ msg }) => msg === 'request');
}

exchangeTest(
  'patience: a request without an answer in time is a 504, and its connection stays',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const upstream = rig.upstream();
    rig.room.pass(1900);
    t.same(late(rig), {});
    rig.room.pass(200);
    rig.hearStatus(client, 504);
    rig.expectReset(upstream);
    t.same(late(rig), { request: 1 });
    t.match(lines(rig), [{ status: 504, timeout: 'request' }]);
    rig.say(client, GET);
    rig.say(rig.upstream(), OK);
    rig.hear(client, OK);
    t.same(late(rig), { request: 1 });
  },
  { timeouts: { requestMs: 2000 }, logsAccess: true },
);

exchangeTest(
  'patience: a body that drips in, or stops, is a 408 when the time is up',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, POST);
    const upstream = rig.upstream();
    drip(rig, client, 'x'.repeat(40), 100);
    rig.hearStatus(client, 408);
    rig.expectReset(upstream);
    client.end();
    rig.expectEnd(client);
    t.same(late(rig), { request: 1 });
  },
  route({ requestMs: 2000 }),
);

exchangeTest(
  'patience: the time begins with the first byte of the head',
  (rig, t) => {
    const client = rig.room.client();
    drip(rig, client, GET.slice(0, 20), 50);
    rig.say(client, GET.slice(20));
    rig.upstream();
    rig.room.pass(900);
    t.same(late(rig), {});
    rig.room.pass(200);
    rig.hearStatus(client, 504);
    t.same(late(rig), { request: 1 });
  },
  { ...route({ requestMs: 2000 }), timeouts: { headMs: 5000 } },
);

exchangeTest(
  'patience: a response that drips longer than the request may take is cut off',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const upstream = rig.upstream();
    rig.say(upstream, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n');
    drip(rig, upstream, 'x'.repeat(40), 100);
    rig.expectReset(client);
    t.equal(rig.room.closed('request_timeout'), 1);
    t.same(late(rig), { request: 1 });
    t.match(lines(rig), [{ status: 200, timeout: 'request', close: 'request_timeout' }]);
  },
  route({ requestMs: 2000 }),
);

exchangeTest(
  'patience: an event stream goes on for ever on a route that says so',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const upstream = rig.upstream();
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n';
    rig.say(upstream, head);
    const events = 'data: x\n\n'.repeat(8);
    t.equal(drip(rig, upstream, events, 500), events.length);
    upstream.end();
    rig.hear(client, head + events);
    rig.expectEnd(client);
    t.same(late(rig), {});
  },
  { ...route({ requestMs: 0 }), timeouts: { requestMs: 2000 } },
);

exchangeTest(
  'patience: the time for a response begins when the endpoint has the whole request',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, POST);
    const upstream = rig.upstream();
    t.equal(drip(rig, client, 'x'.repeat(100), 50), 100, 'a slow upload is no slow response');
    rig.room.pass(800);
    t.same(late(rig), {});
    rig.room.pass(300);
    rig.hearStatus(client, 504);
    rig.expectReset(upstream);
    t.same(late(rig), { response: 1 });
    t.match(lines(rig), [{ status: 504, timeout: 'response' }]);
  },
  route({ responseMs: 1000 }),
);

exchangeTest(
  'patience: a response that has begun in time may take its time',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const upstream = rig.upstream();
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n';
    rig.say(upstream, head);
    t.equal(drip(rig, upstream, 'x'.repeat(40), 100), 40);
    rig.hear(client, head + 'x'.repeat(40));
    rig.room.pass(2000);
    t.same(late(rig), {});
  },
  route({ responseMs: 1000 }),
);

exchangeTest(
  'patience: a tunnel is exempt from the request’s time, and has one of its own for silence',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, UPGRADE);
    const upstream = rig.upstream();
    rig.say(upstream, SWITCHED);
    rig.hearStatus(client, 101);
    t.equal(drip(rig, client, 'x'.repeat(20), 400), 20);
    rig.room.pass(2500);
    t.equal(rig.room.closed('idle_timeout'), 0, 'longer than others may be idle');
    rig.room.pass(1000);
    t.equal(rig.room.closed('idle_timeout'), 1);
    t.same(late(rig), {});
  },
  route({ requestMs: 2000, responseMs: 500, idleMs: 1000, tunnelMs: 3000 }),
);

exchangeTest(
  'patience: a shorter time for tunnels holds from their beginning',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, UPGRADE);
    rig.say(rig.upstream(), SWITCHED);
    rig.hearStatus(client, 101);
    rig.room.pass(1100);
    t.equal(rig.room.closed('idle_timeout'), 1);
  },
  route({ tunnelMs: 1000 }),
);

exchangeTest(
  'patience: a connection to an endpoint that takes too long is a 504 in the route’s time',
  (rig, t) => {
    const stop = neverConnect(rig);
    const client = rig.room.client();
    rig.say(client, GET);
    rig.room.pass(300);
    rig.hearStatus(client, 504);
    t.equal(rig.room.count('connect_failures'), 1);
    t.same(late(rig), {}, 'it was the endpoint that failed');
    stop();
  },
  { ...route({ connectMs: 200 }), timeouts: { connectMs: 60_000 } },
);

exchangeTest(
  'patience: the request’s time counts while a connection is made, too',
  (rig, t) => {
    const stop = neverConnect(rig);
    const client = rig.room.client();
    rig.say(client, GET);
    rig.room.pass(600);
    rig.hearStatus(client, 504);
    t.same(late(rig), { request: 1 });
    stop();
    rig.say(client, GET);
    rig.say(rig.upstream(), OK);
    rig.hear(client, OK);
  },
  { ...route({ requestMs: 500 }), timeouts: { connectMs: 60_000 } },
);

exchangeTest(
  'patience: silence is the fault of whoever is waited for',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, POST);
    rig.upstream();
    rig.room.pass(600);
    rig.hearStatus(client, 408);
    client.end();
    rig.expectEnd(client);
    const other = rig.room.client();
    rig.say(other, GET);
    rig.upstream();
    rig.room.pass(600);
    rig.hearStatus(other, 504);
    t.same(late(rig), { idle: 2 });
  },
  route({ idleMs: 500 }),
);

exchangeTest(
  'patience: who has a part of a response does not take it for the whole',
  (rig, t) => {
    // Only the first says how long it is: an end of the stream would be the end of the others.
    for (const [request, response] of [
      [GET, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe'],
      [GET, 'HTTP/1.1 200 OK\r\n\r\nhe'],
      [
        GET.replace('HTTP/1.1', 'HTTP/1.0'),
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n',
      ],
    ] as const) {
      const client = rig.room.client();
      rig.say(client, request);
      rig.say(rig.upstream(), response);
      rig.room.pass(600);
      rig.expectReset(client);
      t.match(`${client.received}`, /he(\r\n)?$/);
    }
    t.same(late(rig), { idle: 3 });
    t.equal(rig.room.closed('idle_timeout'), 3);
  },
  route({ idleMs: 500 }),
);

exchangeTest(
  'patience: a client that takes what waits in its socket is not silent, however long there is no event',
  (rig, t) => {
    const { client, upstream } = rig.begin();
    // A kernel says that there is room again by sixteenths of what there is in all.
    client.set(SocketOption.SOL_SOCKET, SO_RCVBUF, 200_000);
    const bytes = Buffer.from(
      `HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n${'x'.repeat(9_000_000)}`,
    );
    // As much as all sockets on the way hold.
    for (let sent = 0, now = -1; now !== 0; sent += now) {
      rig.room.settle();
      now = upstream.send(bytes.subarray(sent));
    }
    for (let look = 0; look < 4; look++) {
      takeSome(rig.room, client);
      rig.room.pass(400);
      t.equal(rig.room.sessions().length, 1, 'as long as it takes some');
    }
    rig.room.pass(2000);
    t.equal(rig.room.sessions().length, 0, 'not when it takes nothing');
    t.same(late(rig), { idle: 1 });
    client.receive();
    rig.expectReset(client);
  },
  route({ idleMs: 500 }),
);

for (const slow of ['client', 'upstream'] as const) {
  exchangeTest(
    `patience: nor is the ${slow} of a tunnel`,
    (rig, t) => {
      const client = rig.room.client();
      rig.say(client, UPGRADE);
      const upstream = rig.upstream();
      rig.say(upstream, SWITCHED);
      rig.hearStatus(client, 101);
      const [taker, giver] = slow === 'client' ? [client, upstream] : [upstream, client];
      taker.set(SocketOption.SOL_SOCKET, SO_RCVBUF, 200_000);
      const bytes = Buffer.alloc(1_000_000, 'x');
      for (let now = -1; now !== 0; ) {
        rig.room.settle();
        now = giver.send(bytes);
      }
      for (let look = 0; look < 4; look++) {
        takeSome(rig.room, taker);
        rig.room.pass(400);
        t.equal(rig.room.sessions().length, 1, 'as long as it takes some');
      }
      rig.room.pass(2000);
      t.equal(rig.room.closed('idle_timeout'), 1, 'not when it takes nothing');
    },
    route({ tunnelMs: 500 }),
  );
}

exchangeTest('patience: half a head is a 408, and the log knows why', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET.slice(0, 20));
  rig.room.pass(1100);
  rig.hearStatus(client, 408);
  client.end();
  rig.expectEnd(client);
  rig.room.settle();
  t.equal(rig.room.closed('head_timeout'), 1);
});

exchangeTest(
  'patience: empty lines behind a body begin no request',
  (rig, t) => {
    const { client, upstream } = rig.begin();
    rig.relay(upstream, client, OK);
    for (const piece of ['\r\n', '\r', '\n\r\n']) rig.say(client, piece);
    rig.room.pass(1500);
    t.match(rig.room.sessions(), [{ stateName: 'idle' }]);
    rig.relay(client, upstream, GET);
    rig.room.pass(300);
    rig.relay(upstream, client, OK);
    t.same(late(rig), {});
    rig.say(client, '\r\n');
    client.end();
    rig.expectEnd(client);
    t.match(lines(rig), [{ status: 200 }, { status: 200 }]);
    t.equal(lines(rig).length, 2);
  },
  route({ requestMs: 500 }),
);

const LONG = 'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n';

/** Says so much every second. */
function upload(rig: ExchangeRig, client: RawPeer, bytes: number, seconds: number): number {
  let second = 0;
  for (; second < seconds && !client.isEnded; second++) {
    rig.say(client, 'x'.repeat(bytes));
    rig.room.pass(1000);
    client.receive();
    if (client.receivedBytes > 0) break;
  }
  return second;
}

exchangeTest(
  'patience: a body that comes too slowly is a 408, after some grace',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, LONG);
    const upstream = rig.upstream();
    const seconds = upload(rig, client, 999, 30);
    t.ok(seconds >= 9 && seconds <= 10, `${seconds} seconds`);
    rig.hearStatus(client, 408);
    rig.expectReset(upstream);
    t.same(late(rig), { body_rate: 1 });
    t.match(lines(rig), [{ status: 408, timeout: 'body_rate' }]);
    client.end();
    rig.expectEnd(client);
  },
  route({}, 1000),
);

exchangeTest(
  'patience: a body that comes fast enough goes on, and slows down at its own risk',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, LONG);
    rig.upstream();
    t.equal(upload(rig, client, 1100, 30), 30);
    t.same(late(rig), {});
    const seconds = upload(rig, client, 100, 30);
    t.ok(seconds <= 10, `${seconds} seconds`);
    t.same(late(rig), { body_rate: 1 });
    rig.hearStatus(client, 408);
  },
  route({}, 1000),
);

exchangeTest(
  'patience: an endpoint that takes nothing is no fault of the client',
  (rig, t) => {
    const client = rig.room.client();
    const bytes = 16 * 1024 * 1024;
    rig.say(client, `PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`);
    const upstream = rig.upstream();
    let sent = 0;
    for (let round = 0; round < 200; round++) {
      sent += client.send(Buffer.alloc(Math.min(65_536, bytes - sent), 'x'));
      rig.room.settle(5);
    }
    t.ok(sent < bytes, `${sent} of ${bytes} bytes fit in between`);
    for (let second = 0; second < 30; second++) {
      // The event that keeps the exchange from being idle.
      for (const session of rig.room.sessions() as HttpConnection[]) {
        session.lastActivityMs = rig.room.nowMs;
      }
      rig.room.pass(1000);
    }
    t.same(late(rig), {});
    upstream.receive();
    rig.room.settle();
    t.equal(rig.room.sessions().length, 1);
  },
  route({}, 1_000_000),
);

exchangeTest(
  'patience: a client that waits for 100 (Continue) is not slow',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, LONG.replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n'));
    const upstream = rig.upstream();
    rig.room.pass(9000);
    t.same(late(rig), {});
    rig.say(upstream, 'HTTP/1.1 100 Continue\r\n\r\n');
    rig.hearStatus(client, 100);
    rig.room.pass(9000);
    t.same(late(rig), { body_rate: 1 }, 'from now on it is');
    rig.hearStatus(client, 408);
  },
  route({}, 1000),
);
