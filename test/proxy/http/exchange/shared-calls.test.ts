// Exchanges whose reads and writes are made together with others': what happens to one between its read and its event,
// or between its last word and the write of it.
import type { HttpConnection } from '#src/proxy/http/connection/connection.js';
import { Socket } from '#src/splice/index.js';
import { ExchangeRig, exchangeTest, GET, OK } from '#test/support/http/exchange-rig.js';
import { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, socketTest } from '#test/support/sockets/socket-kit.js';
import { nothingLeft, type RoomOptions } from '#test/support/worker/worker-room.js';

const together: RoomOptions = { sharesCalls: true };
const POST = 'POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello';

/** One turn, for whatever has come. */
function turn({ room }: ExchangeRig): void {
  pause(2);
  room.clock.turn();
}

/** A client whose connection has carried one exchange; that to the endpoint is idle. */
function beginIdle(rig: ExchangeRig): { client: RawPeer; upstream: RawPeer } {
  const { client, upstream } = rig.begin();
  rig.relay(upstream, client, OK);
  return { client, upstream };
}

/** The worker's descriptors that were given a request or a response, in turn. */
function written({ room }: ExchangeRig): number[] {
  return room.libc.trace.filter(({ name }) => name === 'send').map(({ args }) => args[0]!);
}

function connectionOf(rig: ExchangeRig, index: number): HttpConnection {
  return rig.room.sessions()[index] as HttpConnection;
}

/** The endpoint hears no more, one way or the other. */
function expectGone(rig: ExchangeRig, peer: RawPeer): void {
  rig.room.until(() => {
    peer.receive();
    return peer.isEnded || peer.errno !== 0;
  });
}

for (const first of ['client', 'endpoint'] as const) {
  exchangeTest(
    `shared: a client’s reset and its response, ${first} first`,
    (rig) => {
      const { client, upstream } = rig.begin();
      const other = rig.begin();
      if (first === 'client') client.reset();
      upstream.send(Buffer.from(OK));
      if (first === 'endpoint') client.reset();
      other.upstream.send(Buffer.from(OK));
      turn(rig);
      rig.hear(other.client, OK);
      expectGone(rig, upstream);
      rig.relay(other.client, other.upstream, GET);
      rig.relay(other.upstream, other.client, OK);
    },
    together,
  );
}

for (const [request, sharesCalls] of [
  [GET, true],
  [POST, true],
  [POST, false],
] as const) {
  const [method] = request.split(' ');
  for (const how of ['end', 'reset', 'unasked word', 'unasked word and end'] as const) {
    for (const first of ['client', 'endpoint'] as const) {
      exchangeTest(
        `shared: ${method} and the ${how} of the idle connection, ${first} first, calls ${sharesCalls ? 'together' : 'one by one'}`,
        (rig, t) => {
          const { client, upstream } = beginIdle(rig);
          if (first === 'client') client.send(Buffer.from(request));
          if (how.startsWith('unasked')) {
            upstream.send(
              Buffer.from('HTTP/1.1 408 Request Timeout\r\nContent-Length: 2\r\n\r\nno'),
            );
          }
          if (how.endsWith('end')) upstream.end();
          else if (how === 'reset') upstream.reset();
          if (first === 'endpoint') client.send(Buffer.from(request));
          turn(rig);
          const next = rig.upstream();
          rig.hear(next, request);
          if (how !== 'reset') {
            expectGone(rig, upstream);
            t.equal(upstream.receivedBytes, GET.length, 'it was told nothing more');
          }
          rig.relay(next, client, OK);
          rig.relay(client, next, GET);
          rig.relay(next, client, OK);
        },
        { sharesCalls },
      );
    }
  }
}

for (const sharesCalls of [true, false]) {
  const how = sharesCalls ? 'made with others' : 'made by itself';
  exchangeTest(
    `shared: an endpoint that speaks before it was asked, and a write ${how}`,
    (rig) => {
      const client = rig.room.client();
      client.send(Buffer.from(GET));
      let upstream: RawPeer | undefined;
      rig.room.libc.script('connect', (args, real) => {
        const result = real(...args);
        upstream = rig.room.upstream();
        upstream.send(Buffer.from(OK));
        return result;
      });
      rig.room.settle();
      rig.hear(upstream!, GET);
      rig.hear(client, OK);
    },
    { sharesCalls },
  );
  for (const request of [GET, POST]) {
    exchangeTest(
      `shared: ${request.split(' ')[0]}, and a write ${how} finds the idle connection reset`,
      (rig, t) => {
        const { client, upstream } = beginIdle(rig);
        const results: number[] = [];
        rig.room.libc.script('send', (args, real) => {
          if (results.length === 0) upstream.reset();
          results.push(real(...args));
          return results.at(-1)!;
        });
        rig.say(client, request);
        const next = rig.upstream();
        rig.hear(next, request);
        t.ok(results[0]! < 0, 'it failed');
        rig.relay(next, client, OK);
      },
      { sharesCalls },
    );
  }
  exchangeTest(
    `shared: a request whose write, ${how}, finds no memory is answered`,
    (rig) => {
      const { client, upstream } = beginIdle(rig);
      rig.room.libc.fail('send', 105);
      rig.say(client, GET);
      rig.hearStatus(client, 502);
      expectGone(rig, upstream);
      const next = rig.begin();
      rig.relay(next.upstream, next.client, OK);
    },
    { sharesCalls },
  );
}

/** Answered with no body, which is written at once. */
const HEAD = GET.replace('GET', 'HEAD');
const FOUND = OK.slice(0, -2);

for (const [what, when] of [
  ['request', 'between its read and its event'],
  ['request', 'before it is written'],
  ['response', 'between its read and its event'],
  ['response', 'before it is written'],
] as const) {
  exchangeTest(
    `shared: somebody ends a connection whose ${what} has come, ${when}`,
    (rig, t) => {
      const { libc } = rig.room;
      const ender = rig.begin(HEAD);
      const { client, upstream } = rig.begin();
      const connection = rig.room.sessions().at(-1) as HttpConnection;
      const { exchange } = connection;
      const next = beginIdle(rig);
      rig.relay(next.client, next.upstream, GET);
      if (what === 'request') rig.relay(upstream, client, OK);
      libc.trace.length = 0;
      const say = (): void => {
        if (what === 'request') client.send(Buffer.from(GET));
        else upstream.send(Buffer.from(OK));
      };
      if (when === 'before it is written') say();
      ender.upstream.send(Buffer.from(FOUND));
      if (when !== 'before it is written') say();
      next.upstream.send(Buffer.from(OK));
      next.client.send(Buffer.from(POST));
      libc.script('send', (args, real) => {
        libc.script('send');
        connection.terminate('ended_by_admin');
        return real(...args);
      });
      turn(rig);
      t.equal(written(rig).length, 2, 'for the others');
      rig.hear(ender.client, FOUND);
      rig.hear(next.client, OK);
      for (const peer of [client, upstream]) {
        // A connection to the endpoint that no exchange has used again is still idle.
        const isIdle = peer === upstream && what === 'request' && when !== 'before it is written';
        if (isIdle) peer.receive();
        else expectGone(rig, peer);
        t.equal(peer.received.includes(what === 'request' ? `${GET}${GET}` : OK), false);
      }
      rig.relay(ender.client, ender.upstream, GET);
      const others = [ender];
      if (what === 'response') {
        // The exchange is used again, and hears of nothing that was not its own.
        others.push(rig.begin());
        const users = rig.room.sessions().map((session) => (session as HttpConnection).exchange);
        t.ok(users.includes(exchange));
      }
      for (const other of others) rig.relay(other.upstream, other.client, OK);
      rig.hear(next.upstream, POST);
      rig.relay(next.upstream, next.client, OK);
    },
    together,
  );
}

exchangeTest(
  'shared: pipelined requests that come while responses wait',
  (rig) => {
    const { client, upstream } = rig.begin();
    for (const first of ['client', 'endpoint', 'client', 'endpoint']) {
      if (first === 'client') client.send(Buffer.from(POST + GET));
      upstream.send(Buffer.from(OK));
      if (first === 'endpoint') client.send(Buffer.from(POST + GET));
      turn(rig);
      rig.hear(client, OK);
      rig.hear(upstream, POST);
      rig.relay(upstream, client, OK);
      rig.hear(upstream, GET);
    }
    rig.relay(upstream, client, OK);
  },
  together,
);

exchangeTest(
  'shared: an informational response goes before its response, and nothing is kept behind a third',
  (rig, t) => {
    const { client, upstream } = rig.begin();
    const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';
    upstream.send(Buffer.from(hint + OK));
    turn(rig);
    rig.hear(client, hint + OK);
    rig.relay(client, upstream, GET);
    upstream.send(Buffer.from(OK + OK));
    turn(rig);
    rig.hear(client, OK);
    expectGone(rig, upstream);
    t.equal(rig.room.http.upstreams.idle, 0);
  },
  together,
);

/** Requests at once of a client that does not read, each answered by as much as may wait for others. */
const REQUESTS = 600;
const LONG = `HTTP/1.1 200 OK\r\nContent-Length: 15000\r\n\r\n${'0123456789abcde'.repeat(1000)}`;

exchangeTest(
  'shared: responses to a client that does not read, whose socket is full in the middle of one',
  (rig, t) => {
    const { client, upstream } = rig.begin();
    const sends: number[] = [];
    const { fd } = connectionOf(rig, 0).transport;
    rig.room.libc.script('send', (args, real) => {
      const result = real(...args);
      if (args[0] === fd) sends.push(result < 0 ? result : result - args[2]!);
      return result;
    });
    client.send(Buffer.from(GET.repeat(REQUESTS - 1)));
    let answered = 0;
    const answer = (): void => {
      upstream.receive();
      for (; answered < upstream.receivedBytes / GET.length; answered++) {
        upstream.send(Buffer.from(LONG));
      }
      rig.room.clock.turn();
    };
    rig.room.until(() => {
      answer();
      return sends.some((result) => result < 0);
    }, 10_000);
    t.ok(answered < REQUESTS);
    rig.room.until(() => {
      answer();
      client.receive();
      return client.receivedBytes >= REQUESTS * LONG.length;
    }, 10_000);
    t.ok(client.received.equals(Buffer.from(LONG.repeat(REQUESTS))), 'every byte, and once');
    const lines = rig.room.lines.filter(({ status }) => status === 200);
    t.equal(lines.length, REQUESTS);
    t.ok(lines.every(({ bytes_down }) => bytes_down === LONG.length));
    t.equal(rig.room.http.upstreams.idle, 1, 'one connection did it all');
  },
  { ...together, logsAccess: true },
);

socketTest(
  'exchange: shared: what fails behind a late write ends that connection only',
  (t, kit) => {
    const rig = new ExchangeRig(t, kit, together);
    const one = rig.begin();
    const other = rig.begin();
    connectionOf(rig, 0).exchangeOver = () => {
      throw new Error('a bug');
    };
    one.upstream.send(Buffer.from(OK));
    other.upstream.send(Buffer.from(OK));
    turn(rig);
    rig.hear(other.client, OK);
    rig.hear(one.client, OK);
    t.equal(rig.room.count('exceptions'), 1);
    t.equal(rig.room.sessions().length, 1);
    rig.relay(other.client, other.upstream, GET);
    rig.relay(other.upstream, other.client, OK);
    t.same(rig.room.finish(), nothingLeft);
  },
);

/** More than a turn has events, and a batch calls. */
const CLIENTS = 300;

exchangeTest(
  `shared: ${CLIENTS} clients at once`,
  (rig, t, kit) => {
    const { room } = rig;
    const accept = (): number =>
      kit.kernel.accept4(room.origin.fd, 0, 0, Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC);
    kit.kernel.listen(room.origin.fd, CLIENTS);
    const clients: RawPeer[] = [];
    const upstreams: RawPeer[] = [];
    for (let number = 0; number < CLIENTS; number++) {
      clients.push(room.client());
      if (number % 50 === 49) room.until(() => room.sessions().length > number);
    }
    for (let round = 0; round < 3; round++) {
      // Some of the idle connections end in the same turn.
      const ended = upstreams.filter((_, index) => index % 4 === 0);
      const asked: RawPeer[] = [];
      const listen = (): void => {
        for (let fd = accept(); fd >= 0; fd = accept())
          upstreams.push(new RawPeer(kit, kit.own(fd)));
        for (const peer of upstreams) {
          if (peer.receive() > 0 && !ended.includes(peer)) asked.push(peer);
        }
      };
      clients.forEach((client, number) => {
        client.send(Buffer.from(`GET /${number} HTTP/1.1\r\nHost: x\r\n\r\n`));
      });
      for (const peer of ended) peer.end();
      room.until(() => {
        listen();
        return asked.length === CLIENTS;
      }, 5000);
      for (const peer of asked) {
        peer.receive();
        const [, path] = peer.received.toString('latin1').match(/.*GET (\S+) /s)!;
        const body = `${path} `.repeat(100);
        peer.send(Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`));
      }
      room.settle(5);
      for (const peer of upstreams) peer.receive();
      clients.forEach((client, number) => {
        const body = `/${number} `.repeat(100);
        rig.hear(client, `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      });
      for (const peer of upstreams.splice(0)) {
        if (peer.isEnded) peer.close();
        else upstreams.push(peer);
      }
    }
    t.equal(room.http.buffers.inUse, 0);
  },
  together,
);
