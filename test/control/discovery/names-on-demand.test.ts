import t, { type Test } from 'tap';
import { NamesOnDemand } from '#src/control/discovery/index.js';
import { DnsServer } from '#test/support/peers/dns-server.js';

const timeout = { timeout: 30_000 };

async function start(t: Test) {
  const server = await DnsServer.open();
  t.teardown(() => server.close());
  const names = new NamesOnDemand({
    servers: [server.address],
    families: ['inet'],
    hostsPath: '/dev/null',
    resolvConfPath: '/dev/null',
  });
  t.teardown(() => names.stop());
  return { server, names };
}

t.test(
  'names on demand: an answer has the addresses and the time they hold',
  timeout,
  async (t) => {
    const { server, names } = await start(t);
    server.reply('a.internal', 'A', { records: [{ type: 'A', address: '10.0.0.1', ttl: 30 }] });
    const answered = { name: 'a.internal', ips: ['10.0.0.1'], outcome: 'answered' };
    t.strictSame(await names.ask('a.internal'), { ...answered, ttlMs: 30_000 });
    server.reply('a.internal', 'A', { records: [{ type: 'A', address: '10.0.0.1', ttl: 0 }] });
    t.strictSame(await names.ask('a.internal'), { ...answered, ttlMs: 1000 }, 'a second at least');
    server.reply('a.internal', 'A', { records: [{ type: 'A', address: '10.0.0.1', ttl: 1e6 }] });
    t.strictSame(
      await names.ask('a.internal'),
      { ...answered, ttlMs: 300_000 },
      'five minutes at most',
    );
  },
);

t.test('names on demand: who asks at the same time shares one question', timeout, async (t) => {
  const { server, names } = await start(t);
  server.reply('b.internal', 'A', { records: [{ type: 'A', address: '10.0.0.2' }] });
  const answers = await Promise.all(Array.from({ length: 50 }, () => names.ask('b.internal')));
  t.ok(answers.every(({ ips }) => ips[0] === '10.0.0.2'));
  t.equal(server.questions.length, 1);
});

t.test('names on demand: why there is no answer', timeout, async (t) => {
  const { server, names } = await start(t);
  server.reply('none.internal', 'A', { rcode: 'NXDOMAIN' });
  server.reply('empty.internal', 'A', { rcode: 'NOERROR' });
  server.reply('broken.internal', 'A', { rcode: 'SERVFAIL' });
  const outcome = async (name: string) => (await names.ask(name)).outcome;
  t.equal(await outcome('none.internal'), 'not_found');
  t.equal(await outcome('empty.internal'), 'not_found');
  t.equal(await outcome('broken.internal'), 'failed');
});

t.test(
  'names on demand: names are whole, the search list is none of theirs',
  timeout,
  async (t) => {
    const { server, names } = await start(t);
    server.reply('short', 'A', { rcode: 'NXDOMAIN' });
    await names.ask('short');
    t.strictSame(
      server.questions.map(({ name }) => name),
      ['short'],
    );
  },
);

t.test('names on demand: so many at a time, and stopping ends them', timeout, async (t) => {
  const { server, names } = await start(t);
  const asked = Array.from({ length: 256 }, (_, index) => {
    server.reply(`s${index}.internal`, 'A', 'silence');
    return names.ask(`s${index}.internal`);
  });
  t.match(await names.ask('more.internal'), { outcome: 'failed', ips: [], ttlMs: 1000 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  names.stop();
  const outcomes = new Set((await Promise.all(asked)).map(({ outcome }) => outcome));
  t.strictSame([...outcomes], ['timeout']);
  server.reply('more.internal', 'A', { records: [{ type: 'A', address: '10.0.0.3' }] });
  t.equal((await names.ask('more.internal')).outcome, 'answered', 'there is room again');
});
