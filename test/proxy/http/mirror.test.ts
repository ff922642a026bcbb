import type { HttpSnapshot, MirrorCut } from '#src/proxy/index.js';
import { mirrorCuts } from '#src/proxy/index.js';
import { Errno } from '#src/splice/index.js';
import { type ExchangeRig, exchangeTest, GET, OK } from '#test/support/http/exchange-rig.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { payload, Random } from '#test/support/random.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { wholeMirror } from '#test/support/worker/upstream-snapshot.js';
import type { RoomOptions } from '#test/support/worker/worker-room.js';
import { routeOf } from './requests.js';

const target = { name: 'shadow', hostName: 'shadow.test', host: null };

/** Everything is mirrored, unless it is said otherwise. */
function mirrored(
  mirror: Partial<NonNullable<HttpSnapshot['routes'][number]['mirror']>> = {},
  route: Parameters<typeof routeOf>[0] = {},
): RoomOptions {
  const whole = { ...wholeMirror, ...target, ...mirror };
  return {
    http: { ...plainHttp, routes: [routeOf({ mirror: whole, ...route })] },
    logsAccess: true,
  };
}

function cuts({ room }: ExchangeRig): Partial<Record<MirrorCut, number>> {
  const counts = mirrorCuts.map((reason) => [reason, room.mirrorCut(reason)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

function shadowOf({ room }: ExchangeRig): RawPeer {
  room.settle();
  return room.shadowPeer();
}

const MIRRORED_GET = 'GET /a HTTP/1.1\r\nHost: x\r\nX-Mirrored: 1\r\n\r\n';

exchangeTest(
  'mirror: a request goes to both, and one answer comes back',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
    rig.hear(upstream, GET);
    rig.hear(shadow, MIRRORED_GET);
    rig.say(shadow, 'HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\nnoes');
    rig.relay(upstream, client, OK);
    // The connections of both are used again.
    for (let round = 0; round < 3; round++) {
      rig.relay(client, upstream, GET);
      rig.relay(upstream, client, OK);
      rig.hear(shadow, MIRRORED_GET);
      rig.say(shadow, OK);
    }
    t.equal(rig.room.count('connect_attempts'), 2);
    t.equal(rig.room.shadows.size, 0);
    t.equal(rig.room.counters.mirroredOf(0), 4);
    t.same(cuts(rig), {});
    const line = rig.room.lines.find(({ msg }) => msg === 'request')!;
    t.match(line.mirror, { upstream: 'shadow', bytes: MIRRORED_GET.length });
    client.close();
    rig.room.settle();
  },
  mirrored(),
);

exchangeTest(
  'mirror: a request behind one that is not answered has a connection of its own',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const [upstream, first] = [rig.upstream(), shadowOf(rig)];
    rig.relay(upstream, client, OK);
    rig.say(client, GET);
    const second = shadowOf(rig);
    rig.hear(first, MIRRORED_GET);
    rig.hear(second, MIRRORED_GET);
    rig.say(second, OK);
    t.equal(rig.room.http.upstreams.idle, 1);
    rig.say(first, OK);
    t.equal(rig.room.http.upstreams.idle, 2);
    t.same(cuts(rig), {});
  },
  mirrored(),
);

exchangeTest(
  'mirror: an idle connection is kept for as long as its endpoint says',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
    rig.relay(upstream, client, OK);
    rig.say(shadow, OK.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=2\r\n\r\n'));
    t.equal(rig.room.http.upstreams.idle, 2);
    rig.hear(shadow, MIRRORED_GET);
    rig.room.pass(1100);
    rig.say(client, GET);
    rig.expectEnd(shadow);
    rig.hear(shadowOf(rig), MIRRORED_GET);
  },
  mirrored(),
);

for (const [name, route, mirror, head] of [
  ['preserve', { host: 'preserve' }, {}, 'Host: x'],
  ['of the route: the shadow’s name', { host: 'upstream' }, {}, 'Host: shadow.test'],
  ['its own', {}, { host: 'upstream' }, 'Host: shadow.test'],
  ['a text', { host: 'upstream' }, { host: ['beta.test'] }, 'Host: beta.test'],
] as const) {
  exchangeTest(
    `mirror: Host, ${name}`,
    (rig, t) => {
      const client = rig.room.client();
      rig.say(client, 'GET /a HTTP/1.1\r\nHost: x\r\nX-Mirrored: 7\r\nx-mirrored: 8\r\n\r\n');
      rig.upstream();
      const shadow = shadowOf(rig);
      shadow.receive();
      const text = shadow.received.toString('latin1');
      t.match(text, `${head}\r\n`);
      t.equal(text.match(/x-mirrored: .*/gi)?.join(), 'X-Mirrored: 1', 'a client cannot say it');
      client.reset();
      rig.room.settle();
    },
    mirrored(mirror, route),
  );
}

const chunks = (bytes: Buffer, random: Random): Buffer => {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = random.between(1, random.oneIn(3) ? 200_000 : 500);
    const piece = bytes.subarray(at, at + size);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
    at += size;
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
};

for (const framing of ['length', 'chunks'] as const) {
  for (const withHead of [0, 10, 9000]) {
    exchangeTest(
      `mirror: a body in ${framing}, ${withHead} bytes of it with the head`,
      (rig, t) => {
        const seed = Random.seed();
        const random = new Random(seed);
        const data = payload(seed, 900_000);
        const body = framing === 'length' ? data : chunks(data, random);
        const field =
          framing === 'length' ? `Content-Length: ${data.length}` : 'Transfer-Encoding: chunked';
        const head = `POST / HTTP/1.1\r\nHost: x\r\n${field}\r\n`;
        const client = rig.room.client();
        rig.say(client, Buffer.concat([Buffer.from(`${head}\r\n`), body.subarray(0, withHead)]));
        const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
        let sent = withHead;
        const expected = head.length + 2 + body.length;
        rig.room.until(() => {
          sent += client.send(body.subarray(sent, sent + random.between(1, 300_000)));
          upstream.receive();
          shadow.receive();
          return upstream.receivedBytes === expected;
        });
        const mirrorHead = `${head}X-Mirrored: 1\r\n\r\n`;
        rig.room.until(() => {
          shadow.receive();
          return shadow.receivedBytes >= mirrorHead.length + body.length;
        });
        t.ok(upstream.received.equals(Buffer.concat([Buffer.from(`${head}\r\n`), body])));
        const copy = Buffer.concat([Buffer.from(mirrorHead), body]);
        t.ok(shadow.received.equals(copy), `seed ${seed}`);
        t.ok(rig.room.count('mirror_teed_bytes') > 100_000, 'by tee(2)');
        rig.say(shadow, OK);
        rig.relay(upstream, client, OK);
        t.equal(rig.room.shadows.size, 0);
        t.equal(rig.room.http.upstreams.idle, 2);
        t.same(cuts(rig), {});
      },
      mirrored({ bufferBytes: 4_000_000 }),
    );
  }
}

const long = payload(3, 300_000);
const long1 = payload(4, 100_000);
for (const [name, response, isKept] of [
  [
    'with a length',
    [Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${long.length}\r\n\r\n`), long],
    true,
  ],
  [
    'in chunks',
    [
      Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
      chunks(long1, new Random(1)),
    ],
    true,
  ],
  [
    'behind an interim one',
    [Buffer.from(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`)],
    true,
  ],
  ['without a body', [Buffer.from('HTTP/1.1 204 No Content\r\n\r\n')], true],
  [
    'that says close',
    [Buffer.from('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')],
    false,
  ],
  ['with something behind it', [Buffer.from(`${OK}more`)], false],
] as const) {
  for (const piece of [1, 700, 1_000_000]) {
    if (piece === 1 && Buffer.concat(response).length > 10_000) continue;
    exchangeTest(
      `mirror: an answer ${name} is dropped, in pieces of ${piece}`,
      (rig, t) => {
        const client = rig.room.client();
        rig.say(client, GET);
        const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
        const bytes = Buffer.concat(response);
        for (let at = 0; at < bytes.length; ) {
          at += shadow.send(bytes.subarray(at, at + piece));
          if (shadow.errno !== 0) break;
          rig.room.clock.turn();
        }
        rig.room.settle();
        t.equal(rig.room.shadows.size, 0, 'it is over');
        t.equal(rig.room.http.upstreams.idle, isKept ? 1 : 0);
        t.same(cuts(rig), {});
        rig.relay(upstream, client, OK);
      },
      mirrored(),
    );
  }
}

exchangeTest(
  'mirror: an answer up to the end of the connection',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
    rig.say(shadow, 'HTTP/1.0 200 OK\r\n\r\n');
    rig.say(shadow, long);
    t.equal(rig.room.shadows.size, 1);
    shadow.end();
    rig.room.settle();
    t.equal(rig.room.shadows.size, 0);
    t.same(cuts(rig), {});
    rig.relay(upstream, client, OK);
  },
  mirrored(),
);

for (const answer of [
  'no HTTP\r\n\r\n',
  'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
]) {
  exchangeTest(
    `mirror: an answer that is none: ${JSON.stringify(answer.slice(0, 12))}`,
    (rig, t) => {
      const client = rig.room.client();
      rig.say(client, GET);
      const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
      rig.say(shadow, answer);
      rig.expectReset(shadow);
      t.same(cuts(rig), { reset: 1 });
      rig.relay(upstream, client, OK);
    },
    mirrored(),
  );
}

const POST = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n';
const body = payload(9, 500_000);

exchangeTest(
  'mirror: one that answers before it has all is let go',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, `${POST}\r\n`);
    const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
    rig.say(shadow, 'HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n');
    t.same(cuts(rig), { answered: 1 });
    send(rig, client, upstream, body);
    t.ok(upstream.received.subarray(-body.length).equals(body));
    rig.relay(upstream, client, OK);
  },
  mirrored(),
);

/** Sends a body and hears it at the upstream. */
function send(rig: ExchangeRig, client: RawPeer, upstream: RawPeer, bytes: Buffer): void {
  upstream.receive();
  const expected = upstream.receivedBytes + bytes.length;
  let sent = 0;
  rig.room.until(() => {
    sent += client.send(bytes.subarray(sent));
    upstream.receive();
    return upstream.receivedBytes >= expected;
  });
}

exchangeTest(
  'mirror: one that takes nothing is cut off; the request goes on',
  (rig, t) => {
    const size = 20_000_000;
    const bytes = payload(10, size);
    const client = rig.room.client();
    rig.say(client, `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`);
    const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
    send(rig, client, upstream, bytes);
    t.ok(upstream.received.subarray(-size).equals(bytes));
    t.same(cuts(rig), { full: 1 });
    while (shadow.receive() > 0);
    t.equal(shadow.errno, Errno.ECONNRESET);
    const start = shadow.received.indexOf('\r\n\r\n') + 4;
    t.ok(bytes.subarray(0, shadow.receivedBytes - start).equals(shadow.received.subarray(start)));
    rig.relay(upstream, client, OK);
  },
  mirrored({ bufferBytes: 65_536 }),
);

exchangeTest(
  'mirror: one that gives no answer has its time',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
    rig.relay(upstream, client, OK);
    client.close();
    rig.room.pass(900);
    t.equal(rig.room.shadows.size, 1);
    rig.room.pass(200);
    t.same(cuts(rig), { timeout: 1 });
    shadow.receive();
    rig.expectReset(shadow);
  },
  mirrored(),
);

exchangeTest(
  'mirror: a body that is broken off is broken off there, too',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, `${POST}\r\n`);
    const [, shadow] = [rig.upstream(), shadowOf(rig)];
    rig.say(client, body.subarray(0, 100_000));
    client.reset();
    rig.expectReset(shadow);
    t.same(cuts(rig), {}, 'which is not the shadow’s doing');
    t.equal(rig.room.shadows.size, 0);
  },
  mirrored(),
);

exchangeTest(
  'mirror: chunks that are none never make a whole request',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    const [, shadow] = [rig.upstream(), shadowOf(rig)];
    rig.say(client, 'zz\r\n');
    rig.expectReset(shadow);
    t.equal(shadow.received.indexOf('zz'), -1);
    t.same(cuts(rig), {});
  },
  mirrored(),
);

exchangeTest(
  'mirror: a request that is tried again is mirrored once',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, GET);
    const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
    rig.relay(upstream, client, OK);
    rig.say(shadow, OK);
    rig.hear(shadow, MIRRORED_GET);
    // The connection that was idle dies with the next one on it.
    client.send(Buffer.from(GET));
    upstream.reset();
    const another = rig.upstream();
    rig.hear(another, GET);
    rig.hear(shadow, MIRRORED_GET);
    rig.say(shadow, OK);
    rig.relay(another, client, OK);
    t.equal(rig.room.counters.mirroredOf(0), 2);
    t.same(cuts(rig), {});
  },
  mirrored(),
);

exchangeTest(
  'mirror: neither upgrades nor CONNECT',
  (rig, t) => {
    const client = rig.room.client();
    const upgrade =
      'GET /a HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n';
    rig.say(client, upgrade);
    rig.upstream();
    t.equal(rig.room.counters.mirroredOf(0), 0);
    client.reset();
    rig.room.settle();
  },
  mirrored(),
);

exchangeTest(
  'mirror: an upstream that is gone; the shadow has the request all the same',
  (rig, t, kit) => {
    kit.close(rig.room.origin.fd);
    const client = rig.room.client();
    rig.say(client, GET);
    const shadow = shadowOf(rig);
    rig.hearStatus(client, 502);
    rig.hear(shadow, MIRRORED_GET);
    rig.say(shadow, OK);
    t.same(cuts(rig), {});
  },
  mirrored(),
);

exchangeTest(
  'mirror: a shadow that is gone',
  (rig, t, kit) => {
    kit.close(rig.room.shadow.fd);
    const { client, upstream } = rig.begin();
    rig.relay(upstream, client, OK);
    t.same(cuts(rig), { unconnected: 1 });
  },
  mirrored(),
);

exchangeTest(
  'mirror: a head without room for one field more',
  (rig, t) => {
    const client = rig.room.client();
    const field = `X-Long: ${'x'.repeat(8000)}\r\n`;
    rig.say(client, `GET /a HTTP/1.1\r\nHost: x\r\n${field}\r\n`);
    const [upstream, shadow] = [rig.upstream(), shadowOf(rig)];
    rig.hear(upstream, `GET /a HTTP/1.1\r\nHost: x\r\n${field}\r\n`);
    rig.hear(shadow, `GET /a HTTP/1.1\r\nHost: x\r\n${field}X-Mirrored: 1\r\n\r\n`);
    rig.say(shadow, OK);
    rig.relay(upstream, client, OK);
    t.same(cuts(rig), {});
  },
  mirrored(),
);

for (const sample of [0, 0.25]) {
  exchangeTest(
    `mirror: a sample of ${sample} requests`,
    (rig, t) => {
      const client = rig.room.client();
      rig.say(client, GET);
      const upstream = rig.upstream();
      rig.say(upstream, OK);
      for (let request = 1; request < 100; request++) {
        client.send(Buffer.from(GET));
        rig.room.clock.turn();
        upstream.send(Buffer.from(OK));
        rig.room.clock.turn();
        rig.room.until(() => {
          client.receive();
          return client.receivedBytes === (request + 1) * OK.length;
        });
      }
      const count = rig.room.counters.mirroredOf(0);
      t.ok(Math.abs(count - 100 * sample) <= (sample === 0 ? 0 : 2), `${count}`);
      client.close();
      rig.room.settle();
      rig.room.shadows.close();
    },
    mirrored({ sample }),
  );
}

// At each call of each kind: what client and upstream have is right, and the shadow has all or a beginning.
for (const [name, faults] of [
  ['tee', [Errno.EAGAIN, Errno.ENOMEM]],
  ['write', [Errno.EAGAIN, Errno.ENOMEM]],
  ['pipe2', [Errno.EMFILE]],
  ['socket', [Errno.EMFILE]],
] as const) {
  for (const fault of faults) {
    for (let nth = 1; nth <= 4; nth++) {
      exchangeTest(
        `mirror: ${name} ${nth} answers ${fault}`,
        (rig, t) => {
          const { room } = rig;
          let seen = 0;
          room.libc.script(name, (args, real) => (++seen === nth ? -fault : real(...args)));
          const client = room.client();
          rig.say(client, `${POST}\r\n`);
          room.pass(100);
          const upstream = rig.upstream();
          const fd = room.kit.kernel.accept4(room.shadow.fd, 0, 0, 0o4000);
          if (fd >= 0) room.kit.own(fd);
          send(rig, client, upstream, body);
          t.ok(upstream.received.subarray(-body.length).equals(body));
          rig.relay(upstream, client, OK);
          client.close();
          room.settle();
        },
        mirrored(),
      );
    }
  }
}
