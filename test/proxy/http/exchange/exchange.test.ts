import type { HttpConnection } from '#src/proxy/http/connection/connection.js';
import type { SocketAddress } from '#src/splice/index.js';
import { exchangeTest, GET, OK } from '#test/support/http/exchange-rig.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';

exchangeTest('requests and answers go one after the other, over one connection each', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET);
  const upstream = rig.upstream();
  for (let round = 0; round < 3; round++) {
    rig.hear(upstream, GET);
    rig.relay(upstream, client, OK);
    if (round < 2) rig.say(client, GET);
  }
  t.equal(rig.room.count('connect_attempts'), 1);
  t.equal(rig.room.http.upstreams.idle, 1);
});

exchangeTest('a small exchange costs two reads and two writes', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET);
  const upstream = rig.upstream();
  rig.relay(upstream, client, OK);
  rig.hear(upstream, GET);
  // The second write on the endpoint's connection sets TCP_NODELAY, once.
  for (let round = 0; round < 2; round++) {
    const { trace } = rig.room.libc;
    const before = trace.length;
    rig.say(client, GET);
    rig.relay(upstream, client, OK);
    const calls = trace
      .slice(before)
      .map(({ name }) => name)
      .filter((name) => name !== 'epoll_wait');
    if (round > 0) t.same(calls, ['recv', 'send', 'recv', 'send']);
    rig.hear(upstream, GET);
  }
});

exchangeTest('pipelined requests are answered in order, a hundred deep', (rig) => {
  const client = rig.room.client();
  const request = (number: number) => `GET /${number} HTTP/1.1\r\nHost: x\r\n\r\n`;
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  rig.say(client, numbers.map(request).join(''));
  const upstream = rig.upstream();
  for (const number of numbers) {
    rig.hear(upstream, request(number));
    rig.say(upstream, `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n${String(number).padStart(3)}`);
  }
  rig.hear(
    client,
    numbers
      .map((number) => `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n${String(number).padStart(3)}`)
      .join(''),
  );
});

const chunks = '5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n';
const POST_CHUNKED = `POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`;
const OK_CHUNKED = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`;
const POST = 'POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world';

for (const [name, request, response] of [
  ['with lengths', POST, OK],
  ['in chunks', POST_CHUNKED, OK_CHUNKED],
] as const) {
  exchangeTest(`bodies ${name} come through, byte by byte`, (rig) => {
    const client = rig.room.client();
    for (const byte of request) {
      client.send(Buffer.from(byte));
      rig.room.settle(2);
    }
    const upstream = rig.upstream();
    rig.hear(upstream, request);
    for (const byte of response) {
      upstream.send(Buffer.from(byte));
      rig.room.settle(2);
    }
    rig.hear(client, response);
  });

  exchangeTest(`bodies ${name} come through, cut at every point`, (rig) => {
    const client = rig.room.client();
    let upstream: RawPeer | undefined;
    for (let cut = 1; cut < request.length; cut++) {
      rig.say(client, request.slice(0, cut));
      rig.say(client, request.slice(cut));
      upstream ??= rig.upstream();
      rig.hear(upstream, request);
      const where = cut % response.length || 1;
      rig.say(upstream, response.slice(0, where));
      rig.say(upstream, response.slice(where));
      rig.hear(client, response);
    }
  });
}

exchangeTest('a request behind a chunked body is the next one', (rig) => {
  const client = rig.room.client();
  rig.say(client, POST_CHUNKED.slice(0, -8));
  rig.say(client, `${POST_CHUNKED.slice(-8)}${GET}`);
  const upstream = rig.upstream();
  rig.hear(upstream, POST_CHUNKED);
  rig.relay(upstream, client, OK);
  rig.hear(upstream, GET);
  rig.relay(upstream, client, OK);
});

exchangeTest('a response up to the end of its stream ends the client’s connection', (rig) => {
  const { client, upstream } = rig.begin();
  rig.say(upstream, 'HTTP/1.0 200 OK\r\n\r\nfirst');
  rig.hear(client, 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst');
  rig.relay(upstream, client, 'second');
  upstream.end();
  rig.expectEnd(client);
});

exchangeTest('a client of HTTP/1.0 gets no chunks', (rig) => {
  const client = rig.room.client();
  rig.say(client, 'GET /a HTTP/1.0\r\nHost: x\r\n\r\n');
  const upstream = rig.upstream();
  rig.hear(upstream, GET);
  rig.say(upstream, OK_CHUNKED.slice(0, 60));
  rig.say(upstream, OK_CHUNKED.slice(60));
  rig.hear(client, 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world');
  rig.expectEnd(client);
});

exchangeTest('a client of HTTP/1.0 may keep its connection', (rig) => {
  const client = rig.room.client();
  rig.say(client, 'GET /a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n');
  const upstream = rig.upstream();
  rig.hear(upstream, GET);
  rig.say(upstream, OK);
  rig.hear(client, OK.replace('\r\n\r\n', '\r\nConnection: keep-alive\r\n\r\n'));
  rig.relay(client, upstream, GET);
});

exchangeTest('HEAD, 204 and 304 have no bodies, whatever their heads say', (rig) => {
  const { client, upstream } = rig.begin(GET.replace('GET', 'HEAD'));
  for (const response of [
    'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
  ]) {
    rig.relay(upstream, client, response);
    rig.relay(client, upstream, GET);
  }
});

exchangeTest('100 (Continue) is waited for, and comes from the upstream', (rig) => {
  const client = rig.room.client();
  const head = 'PUT /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n';
  rig.say(client, head);
  const upstream = rig.upstream();
  rig.hear(upstream, head);
  rig.relay(upstream, client, 'HTTP/1.1 100 Continue\r\n\r\n');
  rig.relay(client, upstream, 'hello');
  rig.relay(upstream, client, `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${OK}`);
});

exchangeTest('an answer that comes before the body ends the connection in good order', (rig) => {
  const { client, upstream } = rig.begin(
    'PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\nsome',
  );
  rig.say(upstream, 'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n');
  rig.hear(client, 'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  rig.expectEnd(client);
  client.send(Buffer.alloc(1000));
  rig.room.settle();
  rig.expectReset(upstream);
  rig.room.pass(3000);
});

exchangeTest('a dead connection is noticed while it is idle', (rig, t) => {
  const { client, upstream } = rig.begin();
  rig.relay(upstream, client, OK);
  t.equal(rig.room.http.upstreams.idle, 1);
  upstream.end();
  rig.room.settle();
  t.equal(rig.room.http.upstreams.idle, 0);
  rig.say(client, GET);
  rig.hear(rig.upstream(), GET);
});

exchangeTest('bytes that nobody asked for end an idle connection', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET);
  const upstream = rig.upstream();
  rig.relay(upstream, client, OK);
  rig.say(upstream, OK);
  t.equal(rig.room.http.upstreams.idle, 0);
});

exchangeTest('bytes behind a response are nobody’s', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET);
  const upstream = rig.upstream();
  rig.say(upstream, OK + OK);
  rig.hear(client, OK);
  t.equal(rig.room.http.upstreams.idle, 0);
  t.equal(client.receive(), 0);
});

for (const how of ['end', 'reset'] as const) {
  exchangeTest(`a reused connection that dies (${how}) is replaced without a word`, (rig, t) => {
    const { client, upstream } = rig.begin();
    rig.relay(upstream, client, OK);
    client.send(Buffer.from(GET));
    rig.room.clock.turn();
    rig.hear(upstream, GET);
    if (how === 'end') upstream.close();
    else upstream.reset();
    const other = rig.upstream();
    rig.hear(other, GET);
    rig.relay(other, client, OK);
    t.equal(rig.room.count('connect_attempts'), 2);
  });
}

exchangeTest('what is not idempotent is not sent twice', (rig) => {
  const { client, upstream } = rig.begin();
  rig.relay(upstream, client, OK);
  rig.relay(client, upstream, POST);
  upstream.close();
  rig.hearStatus(client, 502);
});

exchangeTest('an upstream that breaks off in the middle breaks the client off', (rig) => {
  const client = rig.room.client();
  rig.say(client, GET);
  const upstream = rig.upstream();
  rig.relay(upstream, client, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome');
  upstream.close();
  rig.expectReset(client);
});

exchangeTest('what is no HTTP is refused, from either side', (rig) => {
  const client = rig.room.client();
  rig.say(client, GET);
  const upstream = rig.upstream();
  rig.say(upstream, 'SSH-2.0-OpenSSH\r\n');
  rig.hearStatus(client, 502);
  rig.say(client, 'GET / HTTP/1.1\nHost: x\n\n');
  rig.hearStatus(client, 400);
  rig.expectEnd(client);
  rig.room.pass(3000);
});

exchangeTest('a client that goes away takes its request with it', (rig, t) => {
  const { client, upstream } = rig.begin();
  client.reset();
  rig.expectEnd(upstream);
  t.equal(rig.room.closed('client_reset'), 1);
});

exchangeTest('a client that has said all is answered all the same', (rig) => {
  const client = rig.room.client();
  client.send(Buffer.from(GET));
  client.end();
  const upstream = rig.upstream();
  rig.hear(upstream, GET);
  rig.relay(upstream, client, OK);
  rig.expectEnd(client);
});

for (const framing of ['length', 'chunked'] as const) {
  exchangeTest(`megabytes come through both ways (${framing})`, (rig, t) => {
    const size = 6 * 1024 * 1024;
    const body = Buffer.alloc(size);
    for (let index = 0; index < size; index += 4)
      body.writeUInt32LE((index * 2654435761) >>> 0, index);
    const chunked = (): Buffer => {
      const parts: Buffer[] = [];
      for (let at = 0, number = 0; at < size; number++) {
        const length = Math.min([1, 100, 5000, 70_000, 400_000, 2_000_000][number % 6]!, size - at);
        parts.push(Buffer.from(`${length.toString(16)}\r\n`), body.subarray(at, at + length));
        parts.push(Buffer.from('\r\n'));
        at += length;
      }
      return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
    };
    const wire = framing === 'length' ? body : chunked();
    const line = framing === 'length' ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked';
    const client = rig.room.client();
    const transfer = (from: RawPeer, to: RawPeer | undefined, message: Buffer): RawPeer => {
      let sent = 0;
      let sink = to;
      const before = sink?.receivedBytes ?? 0;
      rig.room.until(() => {
        if (sent < message.length) sent += from.send(message.subarray(sent, sent + 200_000));
        if (sink === undefined && rig.room.http.upstreams.idle === 0 && sent > 0) {
          rig.room.settle();
          sink = rig.room.upstream();
        }
        sink?.receive();
        return sink !== undefined && sink.receivedBytes - before >= message.length;
      }, 10_000);
      t.ok(sink!.received.subarray(before).equals(message), 'byte by byte');
      return sink!;
    };
    const request = Buffer.from(`PUT /a HTTP/1.1\r\nHost: x\r\n${line}\r\n\r\n`);
    const upstream = transfer(client, undefined, Buffer.concat([request, wire]));
    const response = Buffer.from(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n`);
    transfer(upstream, client, Buffer.concat([response, wire]));
    rig.say(client, GET);
    rig.room.until(() => upstream.receive() > 0);
    t.ok(rig.room.counters.up[2]! > 0, 'spliced up');
    t.ok(rig.room.counters.down[2]! > 0, 'spliced down');
  });
}

/** Nothing listens there. */
const nobody: SocketAddress = { family: 'inet', host: '127.0.0.1', port: 1 };

const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const UPGRADE_SENT =
  'GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n';
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n';
const SWITCHED_HEARD =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n';

exchangeTest('after 101 bytes go both ways, early ones too, until both have said all', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, `${UPGRADE}early`);
  const upstream = rig.upstream();
  rig.hear(upstream, UPGRADE_SENT);
  rig.say(upstream, `${SWITCHED}hello`);
  rig.hear(client, `${SWITCHED_HEARD}hello`);
  rig.hear(upstream, 'early');
  rig.relay(client, upstream, 'up');
  rig.relay(upstream, client, 'down');
  t.match(rig.room.sessions(), [{ stateName: 'tunnelling' }]);
  client.end();
  rig.expectEnd(upstream);
  rig.relay(upstream, client, 'last words');
  upstream.end();
  rig.expectEnd(client);
  t.equal(rig.room.closed('done'), 1);
});

exchangeTest('a tunnel is ended by a reset, by silence and by the worker', (rig, t) => {
  const open = () => {
    const client = rig.room.client();
    rig.say(client, UPGRADE);
    const upstream = rig.upstream();
    rig.say(upstream, SWITCHED);
    rig.hear(client, SWITCHED_HEARD);
    return { client, upstream };
  };
  const first = open();
  first.client.reset();
  rig.expectReset(first.upstream);
  const second = open();
  rig.room.pass(11_000);
  rig.expectEnd(second.client);
  t.equal(rig.room.closed('idle_timeout'), 1);
  const third = open();
  for (const session of rig.room.sessions()) session.terminate('stopped');
  rig.expectReset(third.upstream);
  rig.expectReset(third.client);
});

exchangeTest('nobody switches protocols who was not asked', (rig) => {
  const client = rig.room.client();
  rig.say(client, GET);
  rig.say(rig.upstream(), SWITCHED);
  rig.hearStatus(client, 502);
});

exchangeTest('a head that does not come in time is answered, silence is not', (rig, t) => {
  const slow = rig.room.client();
  const silent = rig.room.client();
  rig.say(slow, GET.slice(0, 10));
  for (const byte of 'abcdefgh') {
    rig.room.pass(200);
    slow.send(Buffer.from(byte));
  }
  rig.hearStatus(slow, 408);
  rig.expectEnd(slow);
  rig.expectEnd(silent);
  t.equal(silent.receivedBytes, 0);
  t.equal(rig.room.closed('head_timeout'), 1);
  rig.room.pass(3000);
});

exchangeTest('an idle client is let go after the keep-alive timeout', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET);
  const upstream = rig.upstream();
  rig.relay(upstream, client, OK);
  rig.room.pass(4900);
  t.match(rig.room.sessions(), [{ stateName: 'idle' }]);
  rig.say(client, GET);
  rig.relay(upstream, client, OK);
  rig.room.pass(4900);
  t.equal(rig.room.sessions().length, 1);
  rig.room.pass(300);
  rig.expectEnd(client);
  t.equal(rig.room.http.buffers.inUse, 0);
});

exchangeTest('idle connections to endpoints are closed in time', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET);
  const upstream = rig.upstream();
  rig.relay(upstream, client, OK);
  rig.room.pass(59_000);
  t.equal(rig.room.http.upstreams.idle, 1);
  rig.room.pass(1100);
  t.equal(rig.room.http.upstreams.idle, 0);
  rig.expectEnd(upstream);
});

const POLITE = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: ';

/** What is reused after so long. */
for (const [says, idleMs, isReused] of [
  ['timeout=5', 3900, true],
  ['timeout=5', 4000, false],
  ['max=100, Timeout=5', 4000, false],
  [',max=100 ,\ttimeout=5;x', 4000, false],
  ['timeout=1', 400, true],
  ['timeout=1', 500, false],
  ['timeout=0', 0, false],
  ['timeout=999999999999999999', 50_000, true],
  ['timeout=', 50_000, true],
  ['timeout=x', 50_000, true],
  ['xtimeout=5', 50_000, true],
  ['timeout', 50_000, true],
  ['', 50_000, true],
] as const) {
  exchangeTest(`Keep-Alive: ${says}, ${idleMs} ms later`, (rig, t) => {
    const { client, upstream } = rig.begin();
    rig.say(upstream, `${POLITE}${says}\r\n\r\nok`);
    rig.hear(client, OK);
    rig.room.pass(idleMs);
    // Idle clients are let go before.
    const second = rig.room.client();
    rig.say(second, GET);
    const next = isReused ? upstream : rig.upstream();
    rig.hear(next, GET);
    t.equal(rig.room.count('connect_attempts'), isReused ? 1 : 2);
    if (!isReused) rig.expectEnd(upstream);
    // Nothing is said this time, and nothing remembered.
    rig.relay(next, second, OK);
    rig.room.pass(50_000);
    rig.say(rig.room.client(), GET);
    rig.hear(next, GET);
  });
}

exchangeTest('an endpoint that does not answer in time is a 504', (rig, t) => {
  const { client, upstream } = rig.begin();
  rig.room.pass(10_100);
  rig.hearStatus(client, 504);
  rig.expectReset(upstream);
  t.match(rig.room.sessions(), [{ stateName: 'idle' }], 'the client may stay');
});

exchangeTest('draining, requests are answered, and clients told to close', (rig) => {
  const [busy, quiet, late] = [rig.room.client(), rig.room.client(), rig.room.client()];
  rig.say(busy, GET);
  const upstream = rig.upstream();
  rig.hear(upstream, GET);
  rig.say(quiet, GET);
  const other = rig.upstream();
  rig.hear(other, GET);
  rig.relay(other, quiet, OK);
  rig.relay(late, other, GET);
  rig.relay(other, late, OK);
  rig.room.isDraining = true;
  for (const session of rig.room.sessions()) session.drain();
  const closing = OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
  rig.say(upstream, OK);
  rig.hear(busy, closing);
  rig.expectEnd(busy);
  rig.room.pass(200);
  rig.relay(late, upstream, GET);
  rig.say(upstream, OK);
  rig.hear(late, closing);
  rig.expectEnd(late);
  rig.room.pass(600);
  rig.expectEnd(quiet);
});

exchangeTest(
  'an endpoint that refuses is followed by the next, and none is a 503',
  (rig, t, kit) => {
    const client = rig.room.client();
    rig.say(client, POST);
    rig.hear(rig.upstream(), POST);
    rig.say(rig.room.client(), POST);
    rig.hear(rig.upstream(), POST);
    t.equal(rig.room.count('connect_failures'), 1);
    const other = new TestRoom(kit, { http: plainHttp, endpoints: [nobody] });
    const lonely = other.client();
    lonely.send(Buffer.from(GET));
    other.until(() => lonely.receive() > 0);
    t.match(lonely.received.toString(), /^HTTP\/1.1 502 /);
    t.same(other.finish(), nothingLeft);
  },
  { endpointsOf: (origin) => [nobody, origin] },
);

exchangeTest(
  'a request whose endpoint dies is sent to another one',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const first = rig.upstream();
    rig.hear(first, GET);
    first.reset();
    const second = rig.upstream();
    rig.hear(second, GET);
    rig.relay(second, client, OK);
    t.equal(rig.room.count('connect_attempts'), 2);
  },
  { endpointsOf: (origin) => [origin, origin] },
);

exchangeTest(
  'a body longer than its route takes is refused, chunks or not',
  (rig, t) => {
    const client = rig.room.client();
    const request = 'PUT /a HTTP/1.1\r\nHost: x\r\n';
    rig.say(client, `${request}Content-Length: 101\r\n\r\nx`);
    rig.hearStatus(client, 413);
    const other = rig.room.client();
    rig.say(other, `${request}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
    const upstream = rig.upstream();
    rig.hear(upstream, `${request}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
    rig.say(other, 'ff\r\n');
    rig.hearStatus(other, 413);
    rig.expectReset(upstream);
    const whole = rig.room.client();
    const chunk = (length: number) =>
      `${length.toString(16)}\r\n${'x'.repeat(length)}\r\n0\r\n\r\n`;
    rig.say(whole, `${request}Transfer-Encoding: chunked\r\n\r\n${chunk(101)}`);
    rig.hearStatus(whole, 413);
    rig.say(whole, `${request}Transfer-Encoding: chunked\r\n\r\n${chunk(100)}`);
    const fitting = rig.upstream();
    rig.hear(fitting, `${request}Transfer-Encoding: chunked\r\n\r\n${chunk(100)}`);
    rig.say(fitting, OK);
    rig.hear(whole, OK);
    rig.room.pass(3000);
    const refused = {
      status: 413,
      refusal: 'body_too_large',
      rejection: undefined,
      route: 'route',
    };
    t.match(rig.room.lines, [refused, refused, refused, { status: 200 }]);
  },
  {
    logsAccess: true,
    http: {
      ...plainHttp,
      routes: [{ ...plainHttp.routes[0]!, guard: { ...plainHttp.routes[0]!.guard, bodyMax: 100 } }],
    },
  },
);

exchangeTest('a request that goes no further is answered here', (rig) => {
  const client = rig.room.client();
  for (const method of ['OPTIONS', 'TRACE']) {
    rig.say(client, `${method} / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n`);
    rig.hearStatus(client, 405);
  }
  rig.say(client, 'OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 1\r\n\r\n');
  const upstream = rig.upstream();
  rig.hear(upstream, 'OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n');
  rig.say(upstream, OK);
  rig.hear(client, OK);
  rig.finish();
});

exchangeTest(
  'each request has its line',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, POST);
    const upstream = rig.upstream();
    rig.relay(upstream, client, OK);
    rig.say(client, 'GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n');
    rig.hearStatus(client, 501);
    t.match(rig.room.lines, [
      {
        msg: 'request',
        listener: 'test',
        client: '127.0.0.1',
        method: 'POST',
        host: 'x',
        target: '/c',
        status: 200,
        route: 'route',
        upstream: 'origin',
        bytes_up: POST.length,
        bytes_down: OK.length,
        duration_ms: Number,
      },
    ]);
    rig.room.pass(3000);
  },
  { logsAccess: true },
);

for (const { request, failure, httpsRedirect } of [
  {
    request: 'GET /a/../../b HTTP/1.1\r\nHost: x\r\n\r\n',
    failure: 'path_above_root',
    httpsRedirect: null,
  },
  {
    request: 'GET / HTTP/1.0\r\n\r\n',
    failure: 'host_missing',
    httpsRedirect: { status: 308, port: 443 },
  },
]) {
  exchangeTest(
    `the line of a request that is answered by no route says why: ${failure}`,
    (rig, t) => {
      const client = rig.room.client();
      rig.say(client, request);
      rig.hearStatus(client, 400);
      rig.finish();
      t.match(
        rig.room.lines.filter(({ msg }) => msg === 'request'),
        [{ status: 400, failure }],
      );
    },
    { logsAccess: true, http: { ...plainHttp, httpsRedirect } },
  );
}

exchangeTest('a client of a listener that is gone is told to close', (rig) => {
  const client = rig.room.client();
  rig.say(client, GET);
  const upstream = rig.upstream();
  rig.relay(upstream, client, OK);
  rig.hear(upstream, GET);
  rig.room.listener.http!.isClosing = true;
  rig.relay(client, upstream, GET);
  rig.say(upstream, OK);
  rig.hear(client, OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  rig.expectEnd(client);
});

exchangeTest('an end that waits for room is waited for', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  const upstream = rig.upstream();
  const [connection] = rig.room.sessions() as HttpConnection[];
  // As with TLS, whose close_notify takes room in the socket.
  const transport = connection!.transport as { isClosing: boolean };
  transport.isClosing = true;
  rig.say(upstream, OK);
  rig.hearStatus(client, 200);
  rig.room.pass(10_000);
  t.same(rig.room.sessions(), [connection], 'longer than a client is given for its last words');
  transport.isClosing = false;
  client.end();
  rig.expectEnd(client);
});

exchangeTest('an end that finds no room is given up after the idle timeout', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  const upstream = rig.upstream();
  const [connection] = rig.room.sessions() as HttpConnection[];
  (connection!.transport as { isClosing: boolean }).isClosing = true;
  rig.say(upstream, OK);
  rig.room.pass(120_000);
  t.same(rig.room.sessions(), []);
});
