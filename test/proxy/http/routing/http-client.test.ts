import t from 'tap';
import { NetworkSet } from '#src/proxy/network-set.js';
import { clientAt, headOf, networks } from '../requests.js';

const trusted = networks('10.0.0.0/8', '2001:db8::/32');

/** Whom a request is found to come from, that a proxy at 10.0.0.1 has sent. */
function clientOf(...lines: string[]): string {
  const client = clientAt('10.0.0.1', {}, trusted);
  client.identify(headOf(`GET /\n${lines.join('\n')}`));
  return client.ip;
}

t.test('client: the last address that is no trusted proxy', async (t) => {
  t.equal(clientOf(), '10.0.0.1', 'nobody said anything');
  t.equal(clientOf('X-Forwarded-For: 192.0.2.7'), '192.0.2.7');
  t.equal(clientOf('X-Forwarded-For: 8.8.8.8, 192.0.2.7, 10.0.0.9'), '192.0.2.7');
  t.equal(clientOf('X-Forwarded-For: 8.8.8.8', 'X-Forwarded-For: 192.0.2.7,10.0.0.9'), '192.0.2.7');
  t.equal(clientOf('X-Forwarded-For: 10.0.0.8, 10.0.0.9'), '10.0.0.8', 'all of them are ours');
  t.equal(clientOf('X-Forwarded-For: 192.0.2.7:4711'), '192.0.2.7');
  t.equal(clientOf('X-Forwarded-For: 2001:db9::1, 2001:db8::5'), '2001:db9::1');
  t.equal(clientOf('X-Forwarded-For: [2001:db9::1]:80'), '2001:db9::1');
});

t.test('client: an IPv4 address inside an IPv6 one is the IPv4 address', async (t) => {
  t.equal(clientOf('X-Forwarded-For: ::ffff:192.0.2.7'), '192.0.2.7');
  t.equal(clientOf('X-Forwarded-For: 192.0.2.7, ::ffff:10.0.0.9'), '192.0.2.7', 'also of a proxy');
  t.equal(clientOf('Forwarded: for="[::FFFF:c000:207]:80"'), '192.0.2.7');
  const client = clientAt('10.0.0.1', {}, trusted);
  client.identify(headOf('GET /\nX-Forwarded-For: [::ffff:192.0.2.7]:80'));
  t.ok(client.isWithin(new NetworkSet(networks('192.0.2.7'))), 'nobody gets past a rule so');
  t.equal(client.address?.length, 4, 'limits count it as what it is');
  const told = { family: 'inet6', host: '::ffff:192.0.2.7', port: 80 } as const;
  const peer = clientAt('', { source: told });
  t.ok(peer.isWithin(new NetworkSet(networks('192.0.2.0/24'))), 'nor does a PROXY header');
});

t.test('client: behind what is no address nobody is believed', async (t) => {
  t.equal(clientOf('X-Forwarded-For: 192.0.2.7, unknown'), '10.0.0.1');
  t.equal(clientOf('X-Forwarded-For: 192.0.2.7, bogus, 10.0.0.9'), '10.0.0.9');
  t.equal(clientOf('X-Forwarded-For: 192.0.2.777'), '10.0.0.1');
  t.equal(clientOf('X-Forwarded-For: 1::2::3'), '10.0.0.1');
  t.equal(clientOf(`X-Forwarded-For: ${'192.0.2.7, '.repeat(500)}10.0.0.9`), '192.0.2.7');
});

t.test('client: Forwarded, where there is no X-Forwarded-For', async (t) => {
  t.equal(clientOf('Forwarded: for=192.0.2.7;proto=https, For="10.0.0.9:80"'), '192.0.2.7');
  t.equal(clientOf('Forwarded: proto=http;for="[2001:db9::1]:80"'), '2001:db9::1');
  t.equal(clientOf('Forwarded: for=192.0.2.7, for=_hidden'), '10.0.0.1');
  t.equal(clientOf('Forwarded: for="a,b", for=10.0.0.9'), '10.0.0.9');
  t.equal(clientOf('Forwarded: for=192.0.2.8', 'X-Forwarded-For: 192.0.2.7'), '192.0.2.7');
});

t.test('client: strangers are taken for themselves', async (t) => {
  const client = clientAt('192.0.2.1', {}, trusted);
  client.identify(headOf('GET /\nX-Forwarded-For: 10.1.1.1\nX-Forwarded-Proto: https'));
  t.equal(client.ip, '192.0.2.1');
  t.equal(client.scheme, 'http');
  t.ok(client.isWithin(new NetworkSet(networks('192.0.2.0/24'))));
});

t.test('client: the next request of a connection may be another client’s', async (t) => {
  const client = clientAt('10.0.0.1', {}, trusted);
  client.identify(headOf('GET /\nX-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: https'));
  t.equal(client.scheme, 'https');
  t.ok(client.isWithin(new NetworkSet(networks('192.0.2.7'))));
  client.identify(headOf('GET /\nForwarded: proto=HTTPS'));
  t.equal(client.ip, '10.0.0.1');
  t.equal(client.scheme, 'https');
  client.identify(headOf('GET /\nX-Forwarded-Proto: gopher'));
  t.equal(client.scheme, 'http');
  t.notOk(client.isWithin(new NetworkSet(networks('192.0.2.7'))));
});

t.test(
  'client: zones of interfaces are nobody else’s affair, and Unix sockets have no address',
  async (t) => {
    t.equal(clientAt('fe80::1%2').peerIp, 'fe80::1');
    const client = clientAt('', { source: { family: 'unix', path: '' } }, trusted);
    t.equal(client.ip, '');
    t.notOk(client.isTrusted);
    t.notOk(client.isWithin(new NetworkSet(networks('0.0.0.0/0', '::/0'))));
  },
);
