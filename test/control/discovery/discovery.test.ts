import { writeFileSync } from 'node:fs';
import type { NetworkInterfaceInfo } from 'node:os';
import t from 'tap';
import { configuredFamilies } from '#src/control/discovery/dns-client.js';
import { Discovery } from '#src/control/discovery/index.js';
import { sleep, until } from '#test/support/deadline.js';
import { DnsServer, type Reply } from '#test/support/peers/dns-server.js';
import { DiscoveryRig } from './discovery-rig.js';
import { recordedLog } from './recorded-log.js';

t.test('discovery: a host has the addresses of both families, at its port', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.host('db.example.com', ['192.0.2.2', '192.0.2.1', '2001:db8::1']);
  const { told, watch } = await rig.watch('db.example.com:5432');
  t.same(told, [['192.0.2.1:5432', '192.0.2.2:5432', '[2001:db8::1]:5432']]);
  t.match(watch.endpoints[2], {
    address: { family: 'inet6', host: '2001:db8::1', port: 5432, text: '[2001:db8::1]:5432' },
    weight: 1,
    tier: 0,
    host: 'db.example.com',
  });
});

t.test('discovery: it asks again after the TTL, and tells only what changed', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.host('db.example', ['192.0.2.1', '192.0.2.2'], 30);
  const { told } = await rig.watch('db.example:80');
  t.equal(rig.clock.nextMs, 30_000);
  rig.dns.host('db.example', ['192.0.2.2', '192.0.2.1'], 7);
  await rig.nextLookup();
  t.equal(told.length, 1, 'another order is no change');
  t.equal(rig.clock.nextMs, 7_000);
  rig.dns.host('db.example', ['192.0.2.2', '192.0.2.3'], 7);
  await rig.nextLookup();
  t.same(told[1], ['192.0.2.2:80', '192.0.2.3:80']);
  t.match(rig.lines, [
    { msg: 'name resolved', name: 'db.example', from: 'unknown', to: 'fresh' },
    { msg: 'endpoints of a name changed', added: ['192.0.2.1', '192.0.2.2'], removed: [] },
    { msg: 'endpoints of a name changed', added: ['192.0.2.3'], removed: ['192.0.2.1'] },
  ]);
  t.equal(rig.lines.length, 3);
});

t.test('discovery: TTLs are believed between one second and five minutes', async (t) => {
  const rig = await DiscoveryRig.open(t);
  for (const [ttl, delayMs] of [
    [0, 1_000],
    [1, 1_000],
    [300, 300_000],
    [86_400, 300_000],
  ] as const) {
    rig.dns.host('db.example', ['192.0.2.1'], ttl);
    const { watch } = await rig.watch('db.example:80');
    t.equal(rig.clock.nextMs, delayMs, `TTL ${ttl}`);
    watch.stop();
  }
});

t.test('discovery: lookups drift apart by up to a tenth, never early', async (t) => {
  const rig = await DiscoveryRig.open(t, { random: () => 0.999 });
  rig.dns.host('db.example', ['192.0.2.1'], 100);
  await rig.watch('db.example:80');
  t.ok(rig.clock.nextMs > 109_900 && rig.clock.nextMs < 110_000, `${rig.clock.nextMs}`);
});

t.test('discovery: the least TTL of a CNAME and what it leads to counts', async (t) => {
  const rig = await DiscoveryRig.open(t);
  const records: Extract<Reply, { records: unknown }>['records'] = [
    { type: 'CNAME', target: 'real.example', ttl: 20 },
    { type: 'A', name: 'real.example', address: '192.0.2.1', ttl: 90 },
  ];
  rig.dns.reply('db.example', 'A', { records });
  rig.dns.reply('db.example', 'AAAA', { rcode: 'NOERROR' });
  const { told } = await rig.watch('db.example:80');
  t.same(told, [['192.0.2.1:80']]);
  t.equal(rig.clock.nextMs, 20_000);
});

const failures: [string, Reply, string][] = [
  ['SERVFAIL', { rcode: 'SERVFAIL' }, 'server_failure'],
  ['NXDOMAIN', { rcode: 'NXDOMAIN' }, 'not_found'],
  ['REFUSED', { rcode: 'REFUSED' }, 'refused'],
  ['an empty answer', { rcode: 'NOERROR' }, 'empty'],
  ['an answer that cannot be read', { garbage: Buffer.from([0xc0, 0xff, 1, 2]) }, 'malformed'],
];

for (const [name, reply, outcome] of failures) {
  t.test(`discovery: ${name} keeps the last good answer, and backs off`, async (t) => {
    const rig = await DiscoveryRig.open(t);
    rig.dns.host('db.example', ['192.0.2.1'], 60);
    const { told, watch } = await rig.watch('db.example:80');
    rig.dns.both('db.example', reply);
    for (const delayMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      await rig.nextLookup();
      t.equal(rig.clock.nextMs, delayMs);
    }
    t.equal(told.length, 1);
    t.equal(watch.endpoints.length, 1);
    t.match(rig.facts, { state: 'stale', endpoints: 1, lookups: { answered: 1, [outcome]: 7 } });
    t.equal(rig.facts.answerAgeMs, 60_000 + 61_000, 'the age counts from the last good answer');
    rig.dns.host('db.example', ['192.0.2.1'], 60);
    await rig.nextLookup();
    t.equal(rig.clock.nextMs, 60_000);
    t.equal(told.length, 1, 'the same answer as before is no change');
    t.match(rig.lines.slice(2), [
      { msg: /last good answer is kept/, from: 'fresh', to: 'stale', after_ms: 60_000 },
      { msg: 'name resolved', from: 'stale', to: 'fresh', after_ms: 91_000 },
    ]);
    t.equal(rig.lines.length, 4, 'one line per change of state, none per lookup');
  });
}

t.test('discovery: a name that does not resolve at the start is asked for again', async (t) => {
  const rig = await DiscoveryRig.open(t);
  const { told, watch } = await rig.watch('db.example:80');
  t.equal(await watch.first, 'not_found');
  t.same(watch.endpoints, []);
  t.equal(rig.facts.answerAgeMs, undefined);
  t.match(rig.lines, [{ level: 40, to: 'absent', reason: 'there is no such name' }]);
  await rig.nextLookup();
  rig.dns.host('db.example', ['192.0.2.1']);
  await rig.nextLookup();
  t.same(told, [['192.0.2.1:80']]);
  t.match(rig.facts, { state: 'fresh', lookups: { not_found: 2, answered: 1 } });
});

t.test('discovery: a resolver that says nothing is waited for ten seconds', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.both('db.example', 'silence');
  const first = rig.watch('db.example:80');
  await until(2_000, 'the question', () => rig.dns.asked('db.example') > 0);
  t.equal(rig.clock.nextMs, 10_000);
  rig.clock.advance(10_000);
  const { watch } = await first;
  t.equal(await watch.first, 'timeout');
  t.equal(rig.clock.nextMs, 1_000);
});

t.test('discovery: a question that got lost is asked again', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.both('db.example', 'silence');
  const first = rig.watch('db.example:80');
  await until(2_000, 'both questions', () => rig.dns.asked('db.example', 'AAAA') > 0);
  rig.dns.host('db.example', ['192.0.2.1']);
  const { told } = await first;
  t.same(told, [['192.0.2.1:80']]);
  t.equal(rig.dns.asked('db.example'), 2);
});

t.test('discovery: the only question there is, and got lost, is asked again', async (t) => {
  const rig = await DiscoveryRig.open(t, { families: ['inet'] });
  rig.dns.reply('db.example', 'A', 'silence');
  const first = rig.watch('db.example:80');
  await until(2_000, 'the question', () => rig.dns.asked('db.example') > 0);
  rig.dns.host('db.example', ['192.0.2.1']);
  const { told } = await first;
  t.same(told, [['192.0.2.1:80']]);
  t.equal(rig.dns.asked('db.example'), 2);
});

t.test('discovery: a family that is never answered holds the other up only shortly', async (t) => {
  const other = await DnsServer.open();
  t.teardown(() => other.close());
  const dns = await DnsServer.open();
  t.teardown(() => dns.close());
  for (const server of [dns, other]) {
    server.host('db.example', ['192.0.2.1']);
    server.reply('db.example', 'AAAA', 'silence');
  }
  const rig = await DiscoveryRig.open(t, { servers: [dns.address, other.address] });
  const { told } = await rig.watch('db.example:80');
  t.same(told, [['192.0.2.1:80']]);
  // All of its tries would be four questions, over 9 s at least.
  t.equal(dns.asked('db.example', 'AAAA') + other.asked('db.example', 'AAAA'), 2);
  t.match(
    rig.lines.filter(({ msg }) => /part/.test(msg)),
    [{ missing: 'AAAA db.example' }],
  );
});

t.test('discovery: no resolver at all is one more reason', async (t) => {
  const rig = await DiscoveryRig.open(t, { servers: ['127.0.0.1:1'] });
  const { watch } = await rig.watch('db.example:80');
  t.equal(await watch.first, 'unreachable');
});

t.test('discovery: a family whose resolver fails keeps what it had', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.host('db.example', ['192.0.2.1', '2001:db8::1'], 10);
  const { told } = await rig.watch('db.example:80');
  rig.dns.reply('db.example', 'AAAA', { rcode: 'SERVFAIL' });
  rig.dns.reply('db.example', 'A', { records: [{ type: 'A', address: '192.0.2.9', ttl: 10 }] });
  await rig.nextLookup();
  t.same(told[1], ['192.0.2.9:80', '[2001:db8::1]:80']);
  rig.dns.reply('db.example', 'AAAA', { rcode: 'NOERROR' });
  await rig.nextLookup();
  t.same(told[2], ['192.0.2.9:80'], 'one that says it has none has none');
  const partial = rig.lines.filter(({ msg }) => /part|all of a name/.test(msg));
  t.match(partial, [{ missing: 'AAAA db.example' }, { msg: 'all of a name resolves again' }]);
});

t.test('discovery: a truncated answer is asked for over TCP', async (t) => {
  const rig = await DiscoveryRig.open(t, { families: ['inet'] });
  const addresses = Array.from({ length: 200 }, (_, index) => `192.0.2.${index}`);
  rig.dns.host('db.example', addresses);
  const { told } = await rig.watch('db.example:80');
  t.equal(told[0]!.length, 200);
  t.same(
    rig.dns.questions.map(({ transport }) => transport),
    ['udp', 'tcp'],
  );
});

t.test('discovery: addresses nobody can connect to are no addresses', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.host('blocked.example', ['0.0.0.0', '::', 'fe80::1']);
  const { watch } = await rig.watch('blocked.example:80');
  t.equal(await watch.first, 'empty');
  watch.stop();
  rig.dns.host('twice.example', ['192.0.2.1', '192.0.2.1']);
  const { told } = await rig.watch('twice.example:80');
  t.same(told, [['192.0.2.1:80']]);
});

t.test('discovery: only the families this machine has are asked for', async (t) => {
  const rig = await DiscoveryRig.open(t, { families: ['inet6'] });
  rig.dns.host('db.example', ['192.0.2.1', '2001:db8::1']);
  const { told } = await rig.watch('db.example:80');
  t.same(told, [['[2001:db8::1]:80']]);
  t.equal(rig.dns.asked('db.example', 'A'), 0);
});

t.test('discovery: families that cannot be asked for are as they were', async (t) => {
  let interfaces: () => NodeJS.Dict<NetworkInterfaceInfo[]> = () => {
    throw new Error('EMFILE');
  };
  const families = configuredFamilies(() => interfaces());
  t.same(families(), ['inet', 'inet6'], 'never known');
  const eth0 = { address: '192.0.2.1', family: 'IPv4', internal: false } as NetworkInterfaceInfo;
  interfaces = () => ({ eth0: [eth0] });
  t.same(families(), ['inet']);
  interfaces = () => {
    throw new Error('EMFILE');
  };
  t.same(families(), ['inet']);
});

t.test('discovery: hosts(5) comes before DNS, and is looked at again', async (t) => {
  const rig = await DiscoveryRig.open(t);
  writeFileSync(rig.hostsPath, '192.0.2.7 db.example\n');
  rig.dns.host('db.example', ['192.0.2.1']);
  const { told } = await rig.watch('DB.example:80');
  t.same(told, [['192.0.2.7:80']]);
  t.equal(rig.dns.questions.length, 0);
  t.equal(rig.clock.nextMs, 5_000);
  writeFileSync(rig.hostsPath, '192.0.2.77 db.example\n');
  await rig.nextLookup();
  t.same(told[1], ['192.0.2.77:80']);
  writeFileSync(rig.hostsPath, '');
  await rig.nextLookup();
  t.same(told[2], ['192.0.2.1:80'], 'no longer listed: DNS');
});

t.test('discovery: localhost is never a question for DNS', async (t) => {
  const rig = await DiscoveryRig.open(t);
  const { told } = await rig.watch('localhost:80');
  t.same(told, [['127.0.0.1:80', '[::1]:80']]);
  t.equal(rig.dns.questions.length, 0);
});

t.test('discovery: short names go through the search list', async (t) => {
  const rig = await DiscoveryRig.open(t, { search: 'ns.cluster cluster' });
  rig.dns.host('db.cluster', ['192.0.2.1']);
  const { told, watch } = await rig.watch('db:80');
  t.same(told, [['192.0.2.1:80']]);
  t.equal(watch.endpoints[0]!.host, 'db');
  t.equal(rig.dns.asked('db.ns.cluster'), 1);
  t.equal(rig.dns.asked('db'), 0);
});

t.test(
  'discovery: a resolver that fails ends the search: another host may have the next name',
  async (t) => {
    const rig = await DiscoveryRig.open(t, { search: 'ns.cluster cluster' });
    rig.dns.both('db.ns.cluster', { rcode: 'SERVFAIL' });
    rig.dns.host('db.cluster', ['192.0.2.1']);
    const { told, watch } = await rig.watch('db:80');
    t.equal(await watch.first, 'server_failure');
    t.same(told, []);
  },
);

t.test('discovery: names that are watched twice are looked up once', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.host('db.example', ['192.0.2.1']);
  const [one, other] = await Promise.all([rig.watch('db.example:1'), rig.watch('db.example:2')]);
  const late = await rig.watch('db.example:3');
  await until(10_000, 'the late one knows', () => late.told.length > 0);
  t.same(
    [one.told, other.told, late.told],
    [[['192.0.2.1:1']], [['192.0.2.1:2']], [['192.0.2.1:3']]],
  );
  t.equal(rig.dns.asked('db.example'), 1);
  one.watch.stop();
  one.watch.stop();
  late.watch.stop();
  rig.dns.host('db.example', ['192.0.2.2']);
  await rig.nextLookup();
  t.equal(one.told.length, 1, 'nothing is told after the end');
  t.same(other.told[1], ['192.0.2.2:2']);
  other.watch.stop();
  t.same(rig.discovery.facts(), []);
});

t.test('discovery: at most one lookup of a name is under way', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.both('db.example', 'silence');
  void rig.watch('db.example:80');
  void rig.watch('db.example:81');
  await until(2_000, 'the question', () => rig.dns.asked('db.example') > 0);
  rig.clock.advance(9_000);
  await sleep(50);
  t.equal(rig.dns.asked('db.example'), 1);
});

t.test('discovery: stopping in the middle of a lookup leaves nothing', async (t) => {
  const rig = await DiscoveryRig.open(t);
  rig.dns.both('db.example', 'silence');
  const first = rig.watch('db.example:80');
  await until(2_000, 'the question', () => rig.dns.asked('db.example') > 0);
  rig.discovery.stop();
  rig.discovery.stop();
  const { told, watch } = await first;
  t.equal(await watch.first, undefined);
  t.same(told, []);
});

t.test('discovery: stopping before anything was asked leaves nothing', async (t) => {
  const rig = await DiscoveryRig.open(t);
  const first = rig.watch('db.example:80');
  rig.discovery.stop();
  const { watch } = await first;
  t.equal(await watch.first, undefined);
  await sleep(50);
  t.equal(rig.dns.questions.length, 0);
});

t.test('discovery: a server that is no address is refused at once', async (t) => {
  const { logger } = recordedLog();
  t.throws(() => new Discovery({ logger, servers: ['nonsense'] }), {
    code: 'ERR_INVALID_IP_ADDRESS',
  });
});

t.test('discovery: with the system’s own clock and files', async (t) => {
  const { logger } = recordedLog();
  const discovery = new Discovery({ logger });
  const changed = new Promise<number>((resolve) => {
    discovery.watch({ kind: 'host', host: 'localhost', port: 80 }, ({ length }) => resolve(length));
  });
  t.ok((await changed) > 0);
  discovery.stop();
});

t.test('discovery: of very many addresses the same ones are used each time', async (t) => {
  const rig = await DiscoveryRig.open(t, { families: ['inet'] });
  const addresses = Array.from(
    { length: 300 },
    (_, index) => `198.51.${index >> 8}.${index & 255}`,
  );
  rig.dns.host('db.example', addresses);
  const { told } = await rig.watch('db.example:80');
  t.equal(told[0]!.length, 256);
  t.equal(rig.clock.nextMs, 60_000, 'Node 20 tells no TTL of the 257th');
  rig.dns.host('db.example', addresses.reverse());
  await rig.nextLookup();
  t.equal(told.length, 1);
});
