import t from 'tap';
import { Outbound } from '#src/proxy/http/outbound/outbound.js';
import { headOf, networks } from '../requests.js';

function outbound(...targets: readonly (readonly [string, number])[]): Outbound {
  return new Outbound({
    kind: 'outbound',
    names: [
      { host: 'api.example.com', port: 443, upstream: 3 },
      { host: 'web.example.com', port: 80, upstream: 4 },
    ],
    networks: targets.flatMap(([text, port]) =>
      networks(text).map((network) => ({ network, port })),
    ),
  });
}

function findIn(one: Outbound, text: string) {
  const [, authority = 'x'] = /^\S+ (?:http:\/\/)?([^/ ]*)/.exec(text) ?? [];
  return one.find(headOf(`${text}\nHost: ${authority || 'x'}`));
}

t.test('outbound: names, each with its port', async (t) => {
  const one = outbound();
  t.equal(findIn(one, 'CONNECT api.example.com:443'), 3);
  t.equal(findIn(one, 'CONNECT API.Example.com.:443'), 3);
  t.equal(findIn(one, 'GET http://web.example.com/x'), 4, 'the port of http');
  t.equal(findIn(one, 'GET http://web.example.com:80/x'), 4);
  for (const text of [
    'CONNECT api.example.com:80',
    'CONNECT xapi.example.com:443',
    'CONNECT example.com:443',
    'CONNECT 10.0.0.1:443',
    'GET http://web.example.com:81/',
  ]) {
    t.equal(findIn(one, text), undefined, text);
  }
  t.equal(one.find(headOf('GET https://web.example.com:80/\nHost: web.example.com:80')), undefined);
  t.equal(one.find(headOf('GET /\nHost: web.example.com')), undefined, 'no target at all');
  t.equal(one.find(headOf('OPTIONS *\nHost: web.example.com')), undefined);
});

t.test('outbound: addresses, in all their spellings', async (t) => {
  const one = outbound(['10.0.0.0/8', 80], ['192.0.2.1', 0], ['2001:db8::/32', 443]);
  const inet = (host: string, port: number) => ({ family: 'inet', host, port });
  t.strictSame(findIn(one, 'GET http://10.1.2.3/'), inet('10.1.2.3', 80));
  t.strictSame(findIn(one, 'CONNECT 192.0.2.1:9999'), inet('192.0.2.1', 9999));
  t.strictSame(findIn(one, 'CONNECT [::ffff:10.1.2.3]:80'), inet('10.1.2.3', 80), 'mapped');
  const inet6 = { family: 'inet6', host: '2001:db8::1', port: 443 };
  t.strictSame(findIn(one, 'CONNECT [2001:DB8::1]:443'), inet6);
  for (const text of [
    'CONNECT 10.1.2.3:443',
    'CONNECT 11.0.0.1:80',
    'CONNECT 192.0.2.2:80',
    'CONNECT [2001:db8::1]:80',
    'CONNECT [::ffff:127.0.0.1]:80',
    // What inet_aton(3) would take for 10.1.2.3.
    'CONNECT 10.66051:80',
    'CONNECT 0x0a010203:80',
    'CONNECT 012.1.2.3:80',
    'CONNECT 167838211:80',
  ]) {
    t.equal(findIn(one, text), undefined, text);
  }
});
