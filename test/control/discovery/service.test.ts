import t from 'tap';
import { sleep, until } from '#test/support/deadline.js';
import type { DnsRecord } from '#test/support/peers/dns-server.js';
import { DiscoveryRig } from './discovery-rig.js';

const service = '_pg._tcp.example.com';

function target(name: string, port: number, priority = 0, weight = 1): DnsRecord {
  return { type: 'SRV', target: name, port, priority, weight };
}

t.test('service: targets have ports, weights, and tiers by priority', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.reply(service, 'SRV', {
    records: [
      target('c.example.com', 5434, 30, 5),
      target('a.example.com', 5432, 10, 60),
      target('b.example.com', 5433, 10, 0),
      target('d.example.com', 5435, 20, 1),
    ],
  });
  rig.dns.host('a.example.com', ['192.0.2.1', '2001:db8::1']);
  rig.dns.host('b.example.com', ['192.0.2.2']);
  rig.dns.host('c.example.com', ['192.0.2.3']);
  rig.dns.host('d.example.com', ['192.0.2.4']);
  const { told, watch } = await rig.watch(`srv:${service}`);
  t.same(told, [
    [
      '192.0.2.1:5432 weight 60',
      '192.0.2.2:5433',
      '[2001:db8::1]:5432 weight 60',
      '192.0.2.4:5435 tier 1',
      '192.0.2.3:5434 weight 5 tier 2',
    ],
  ]);
  t.equal(watch.endpoints[0]!.host, 'a.example.com');
});

t.test('service: a change of weight or priority is a change', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.host('a.example', ['192.0.2.1']);
  rig.dns.host('b.example', ['192.0.2.2']);
  const answers = [
    [target('a.example', 1, 0, 1), target('b.example', 1, 0, 1)],
    [target('a.example', 1, 0, 9), target('b.example', 1, 0, 1)],
    [target('a.example', 1, 0, 9), target('b.example', 1, 5, 1)],
  ];
  rig.dns.reply(service, 'SRV', { records: answers[0]! });
  const { told } = await rig.watch(`srv:${service}`);
  for (const records of answers.slice(1)) {
    rig.dns.reply(service, 'SRV', { records });
    await rig.nextLookup();
  }
  t.same(told, [
    ['192.0.2.1:1', '192.0.2.2:1'],
    ['192.0.2.1:1 weight 9', '192.0.2.2:1'],
    ['192.0.2.1:1 weight 9', '192.0.2.2:1 tier 1'],
  ]);
});

t.test('service: it is asked for as often as its targets, and at least every 30 s', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.reply(service, 'SRV', { records: [target('a.example', 1), target('b.example', 1)] });
  rig.dns.host('a.example', ['192.0.2.1'], 600);
  rig.dns.host('b.example', ['192.0.2.2'], 12);
  await rig.watch(`srv:${service}`);
  t.equal(rig.clock.nextMs, 12_000);
  rig.dns.host('b.example', ['192.0.2.2'], 600);
  await rig.nextLookup();
  t.equal(rig.clock.nextMs, 30_000);
});

t.test(
  'service: a target that stops resolving keeps its addresses, until it is named no more',
  async (t) => {
    const rig = await DiscoveryRig.open(t);
    rig.dns.reply(service, 'SRV', { records: [target('a.example', 1), target('b.example', 1)] });
    rig.dns.host('a.example', ['192.0.2.1']);
    rig.dns.host('b.example', ['192.0.2.2']);
    const { told } = await rig.watch(`srv:${service}`);
    rig.dns.both('b.example', { rcode: 'SERVFAIL' });
    await rig.nextLookup();
    t.equal(told.length, 1);
    t.equal(rig.clock.nextMs, 5_000);
    t.match(rig.lines.at(-1), { level: 40, name: `srv:${service}`, missing: 'b.example' });
    rig.dns.reply(service, 'SRV', { records: [target('a.example', 1)] });
    await rig.nextLookup();
    t.same(told[1], ['192.0.2.1:1']);
  },
);

t.test('service: with no target left to resolve, the last good answer is kept', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.reply(service, 'SRV', { records: [target('a.example', 1)] });
  rig.dns.host('a.example', ['192.0.2.1']);
  const { watch } = await rig.watch(`srv:${service}`);
  rig.dns.both('a.example', { rcode: 'NXDOMAIN' });
  await rig.nextLookup();
  t.equal(watch.endpoints.length, 1);
  t.match(rig.facts, { state: 'stale', lookups: { not_found: 1 } });
});

t.test('service: no such name, none offered, and a resolver that fails', async (t) => {
  const rig = await DiscoveryRig.open(t);
  const outcomes = [
    [{ rcode: 'NXDOMAIN' }, 'not_found'],
    [{ rcode: 'SERVFAIL' }, 'server_failure'],
    [{ records: [target('.', 0)] }, 'empty'],
  ] as const;
  for (const [reply, outcome] of outcomes) {
    rig.dns.reply(service, 'SRV', reply as never);
    const { watch } = await rig.watch(`srv:${service}`);
    t.equal(await watch.first, outcome);
    watch.stop();
  }
});

t.test('service: targets in capitals, with port 0, or nowhere beside real ones', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.host('a.example', ['192.0.2.1']);
  rig.dns.reply(service, 'SRV', {
    records: [target('A.Example', 1), target('a.example', 0), target('.', 1)],
  });
  const { told, watch } = await rig.watch(`srv:${service}`);
  t.same(told, [['192.0.2.1:1']]);
  t.equal(watch.endpoints[0]!.host, 'a.example');
});

t.test('service: the search list is for hosts', async (t) => {
  const rig = await DiscoveryRig.open(t, { search: 'cluster' });
  rig.dns.reply(service, 'SRV', { records: [target('a', 1)] });
  rig.dns.host('a.cluster', ['192.0.2.1']);
  rig.dns.host('a', ['192.0.2.2']);
  const { told } = await rig.watch(`srv:${service}`);
  t.same(told, [['192.0.2.2:1']]);
});

t.test('service: many targets, over TCP, with the records they lead to', async (t) => {
  const rig = await DiscoveryRig.open(t, { families: ['inet'] });
  const numbers = Array.from({ length: 200 }, (_, index) => index);
  const names = numbers.map((number) => `node-${number}.example`);
  rig.dns.reply(service, 'SRV', {
    records: names.map((name, number) => target(name, 1, number)),
    additional: names.slice(0, 20).map((name) => ({ type: 'A', name, address: '192.0.2.1' })),
  });
  for (const [number, name] of names.entries()) rig.dns.host(name, [`198.51.100.${number}`]);
  const { told } = await rig.watch(`srv:${service}`);
  t.equal(told[0]!.length, 128, 'the best tiers');
  t.equal(told[0]![0], '198.51.100.0:1');
  t.ok(rig.dns.questions.some(({ transport }) => transport === 'tcp'));
});

t.test('service: SRV records whose question got lost are asked for again', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.reply(service, 'SRV', 'silence');
  rig.dns.host('a.example', ['192.0.2.1']);
  const first = rig.watch(`srv:${service}`);
  await until(2_000, 'the question', () => rig.dns.asked(service, 'SRV') > 0);
  rig.dns.reply(service, 'SRV', { records: [target('a.example', 1)] });
  const { told } = await first;
  t.same(told, [['192.0.2.1:1']]);
  t.equal(rig.dns.asked(service, 'SRV'), 2);
});

t.test(
  'service: quick answers make nobody impatient with a target that takes longer',
  async (t) => {
    const rig = await DiscoveryRig.open(t);
    const quick = Array.from({ length: 16 }, (_, index) => `a${index}.example`);
    for (const name of quick) rig.dns.host(name, ['192.0.2.1']);
    rig.dns.both('b.example', 'silence');
    const records = [...quick, 'b.example'].map((name) => target(name, 1));
    rig.dns.reply(service, 'SRV', { records });
    const watching = rig.watch(`srv:${service}`);
    await until(10_000, 'the second question', () => rig.dns.asked('b.example') > 1);
    rig.dns.host('b.example', ['192.0.2.2']);
    const asked = rig.dns.questions.filter(
      ({ name, type }) => name === 'b.example' && type === 'A',
    );
    // c-ares, which counts the answers of a channel, would wait for a quarter of a second.
    t.ok(asked[1]!.atMs - asked[0]!.atMs > 1_200, `${asked.map(({ atMs }) => atMs)}`);
    rig.clock.advance(10_000);
    await watching;
  },
);

t.test('service: an endpoint named twice counts once, in its better tier', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.host('a.example', ['192.0.2.1']);
  rig.dns.host('b.example', ['192.0.2.1']);
  rig.dns.reply(service, 'SRV', {
    records: [target('b.example', 1, 9), target('a.example', 1, 3)],
  });
  const { told } = await rig.watch(`srv:${service}`);
  t.same(told, [['192.0.2.1:1']]);
});

t.test('service: targets that do not answer are given up after ten seconds in all', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.reply(service, 'SRV', { records: [target('a.example', 1), target('b.example', 1)] });
  rig.dns.host('a.example', ['192.0.2.1']);
  rig.dns.both('b.example', 'silence');
  const watching = rig.watch(`srv:${service}`);
  const asked = () => rig.dns.asked('b.example') > 0 && rig.dns.asked('a.example', 'AAAA') > 0;
  await until(2_000, 'the questions', asked);
  await sleep(50);
  rig.clock.advance(10_000);
  const { told } = await watching;
  t.same(told, [['192.0.2.1:1']]);
});
