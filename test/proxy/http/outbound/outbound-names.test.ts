import { refusalNames } from '#src/proxy/http/guarding/index.js';
import type { NameAnswer } from '#src/proxy/index.js';
import { type ExchangeRig, exchangeTest, OK } from '#test/support/http/exchange-rig.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import type { RoomOptions } from '#test/support/worker/worker-room.js';
import { networks, routeOf } from '../requests.js';

/** Names below internal lead anywhere that is said; nothing listens anywhere but at the origin. */
function gate(...resolvesTo: string[]): RoomOptions {
  const action = {
    kind: 'outbound' as const,
    names: [],
    networks: [],
    wildcards: [{ suffix: '.internal', port: 0 }],
    resolvesTo: resolvesTo.length === 0 ? null : networks(...resolvesTo),
  };
  return { http: { ...plainHttp, routes: [routeOf({ action })] } };
}

const loopback = gate('127.0.0.0/8');

function portOf({ room }: ExchangeRig): number {
  return (room.origin.address as { port: number }).port;
}

function ask(rig: ExchangeRig, client: RawPeer, name: string): void {
  const authority = `${name}:${portOf(rig)}`;
  rig.say(client, `GET http://${authority}/a HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
}

function answer(rig: ExchangeRig, name: string, some: Partial<NameAnswer>): void {
  const whole = { name, ips: ['127.0.0.1'], ttlMs: 5000, outcome: 'answered' as const, ...some };
  rig.room.http.outbound.names.answer(whole);
  rig.room.settle();
}

function refused({ room }: ExchangeRig): Record<string, number> {
  const { counters } = room.services[0]!.policy.routes[0]!;
  const counts = refusalNames.map((name, index) => [name, counters.refusedFor(index)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

exchangeTest(
  'a name is looked up once for all who ask, and is known for its TTL',
  (rig, t) => {
    const clients = [rig.room.client(), rig.room.client(), rig.room.client()];
    for (const client of clients) ask(rig, client, 'a.internal');
    t.same(rig.room.lookedUp, ['a.internal']);
    answer(rig, 'a.internal', {});
    for (const client of clients) {
      const upstream = rig.upstream();
      rig.say(upstream, OK);
      rig.room.until(() => upstream.receive() > 0);
      t.match(upstream.received.toString(), /^GET \/a HTTP\/1\.1\r\nHost: a\.internal:/);
      upstream.end();
      rig.hear(client, OK);
    }
    rig.room.pass(4000);
    const [client] = clients;
    ask(rig, client!, 'a.internal');
    rig.say(rig.upstream(), OK);
    rig.hear(client!, OK);
    t.same(rig.room.lookedUp, ['a.internal'], 'it is known');
    rig.room.pass(1100);
    ask(rig, client!, 'a.internal');
    t.same(rig.room.lookedUp, ['a.internal', 'a.internal'], 'its time was over');
    answer(rig, 'a.internal', {});
    rig.say(rig.upstream(), OK);
    rig.hear(client!, OK);
  },
  loopback,
);

exchangeTest(
  'a CONNECT waits for its name, and becomes a tunnel',
  (rig) => {
    const client = rig.room.client();
    const authority = `b.c.internal:${portOf(rig)}`;
    rig.say(client, `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\nfirst`);
    answer(rig, 'b.c.internal', {});
    const upstream = rig.upstream();
    rig.hear(upstream, 'first');
    rig.hearStatus(client, 200);
    rig.relay(upstream, client, 'second');
  },
  loopback,
);

exchangeTest(
  'a name that leads nowhere is a 502, at once for a while',
  (rig, t) => {
    const client = rig.room.client();
    ask(rig, client, 'no.internal');
    answer(rig, 'no.internal', { ips: [], outcome: 'not_found' });
    rig.hearStatus(client, 502);
    t.match(client.received.toString(), /Proxy-Status: headgate; error=dns_error/);
    ask(rig, client, 'no.internal');
    rig.hearStatus(client, 502);
    t.same(rig.room.lookedUp, ['no.internal']);
    ask(rig, client, 'slow.internal');
    answer(rig, 'slow.internal', { ips: [], outcome: 'timeout' });
    rig.hearStatus(client, 504);
  },
  loopback,
);

exchangeTest(
  'a name that is never answered is a 504, and a late answer harms nobody',
  (rig, t) => {
    const client = rig.room.client();
    ask(rig, client, 'late.internal');
    rig.room.pass(900);
    const other = rig.room.client();
    ask(rig, other, 'late.internal');
    rig.room.pass(200);
    rig.hearStatus(client, 504);
    t.match(client.received.toString(), /error=dns_timeout/);
    answer(rig, 'late.internal', {});
    rig.say(rig.upstream(), OK);
    rig.hear(other, OK);
    ask(rig, client, 'late.internal');
    rig.say(rig.upstream(), OK);
    rig.hear(client, OK);
  },
  loopback,
);

exchangeTest(
  'a client that goes away waits no more',
  (rig, t) => {
    const client = rig.room.client();
    ask(rig, client, 'gone.internal');
    client.reset();
    rig.room.until(() => rig.room.sessions().length === 0);
    answer(rig, 'gone.internal', {});
    t.equal(rig.room.count('connect_attempts'), 0);
  },
  loopback,
);

for (const [what, options, ips] of [
  ['this machine', gate(), ['127.0.0.1']],
  ['a private network', gate(), ['10.0.0.1', '192.168.0.1', 'fd00::1', '::ffff:10.0.0.1']],
  ['the metadata of a cloud', gate(), ['169.254.169.254']],
  ['a network that was not said', gate('10.0.0.0/8'), ['127.0.0.1', '::1']],
] as const) {
  exchangeTest(
    `a name that leads to ${what} leads nowhere`,
    (rig, t) => {
      const client = rig.room.client();
      ask(rig, client, 'rebound.internal');
      answer(rig, 'rebound.internal', { ips });
      rig.hearStatus(client, 502);
      t.match(client.received.toString(), /error=destination_ip_prohibited/);
      t.equal(rig.room.count('connect_attempts'), 0);
      t.same(refused(rig), { address_denied: 1 });
    },
    options,
  );
}

exchangeTest(
  'of several addresses only those are tried that may be',
  (rig, t) => {
    const client = rig.room.client();
    ask(rig, client, 'both.internal');
    answer(rig, 'both.internal', { ips: ['169.254.169.254', '127.0.0.1', '10.0.0.1'] });
    rig.say(rig.upstream(), OK);
    rig.hear(client, OK);
    t.equal(rig.room.count('connect_attempts'), 1);
  },
  loopback,
);

exchangeTest(
  'what is no name, or not below the wildcard, is never looked up',
  (rig, t) => {
    const client = rig.room.client();
    const names = ['internal', 'xinternal', 'a.internal.evil', '-a.internal'];
    for (const name of [...names, `${'a'.repeat(64)}.internal`]) {
      ask(rig, client, name);
      rig.hearStatus(client, 403);
    }
    t.same(rig.room.lookedUp, []);
  },
  loopback,
);

exchangeTest(
  'so many may wait, and no more',
  (rig, t) => {
    const { names } = rig.room.http.outbound;
    const waiter = { onNameFound() {}, onException() {} };
    let waiting = 0;
    while (names.wait(`w${waiting}.internal`, { ...waiter })) waiting++;
    t.equal(waiting, 1024);
    const client = rig.room.client();
    ask(rig, client, 'more.internal');
    rig.hearStatus(client, 503);
    answer(rig, 'w0.internal', {});
    ask(rig, client, 'more.internal');
    answer(rig, 'more.internal', {});
    rig.say(rig.upstream(), OK);
    rig.hear(client, OK);
  },
  loopback,
);

exchangeTest(
  'names are forgotten when there are too many, those waited for last',
  (rig, t) => {
    const { names } = rig.room.http.outbound;
    const client = rig.room.client();
    ask(rig, client, 'first.internal');
    const nobody = { onNameFound() {}, onException() {} };
    for (let count = 0; count < 5000; count++) {
      names.wait(`n${count}.internal`, nobody);
      names.answer({
        name: `n${count}.internal`,
        ips: ['127.0.0.1'],
        ttlMs: 60_000,
        outcome: 'answered',
      });
    }
    t.equal(names.find('n0.internal'), undefined);
    t.ok(names.find('n4999.internal'));
    answer(rig, 'first.internal', {});
    rig.say(rig.upstream(), OK);
    rig.hear(client, OK);
  },
  loopback,
);
