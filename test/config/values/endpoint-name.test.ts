import t from 'tap';
import { lookupText, parseEndpointName } from '#src/config/index.js';

t.test('name: hosts with ports, services without', async (t) => {
  const cases = {
    'db.example.com:5432': { kind: 'host', host: 'db.example.com', port: 5432 },
    'DB.Example.COM:1': { kind: 'host', host: 'db.example.com', port: 1 },
    'db:65535': { kind: 'host', host: 'db', port: 65_535 },
    'db.example.com.:80': { kind: 'host', host: 'db.example.com.', port: 80 },
    'a_b-c.x1:80': { kind: 'host', host: 'a_b-c.x1', port: 80 },
    'srv:_pg._tcp.example.com': { kind: 'service', service: '_pg._tcp.example.com' },
    'SRV:_PG._tcp.example.com.': { kind: 'service', service: '_pg._tcp.example.com' },
    'srv:pg.service.consul': { kind: 'service', service: 'pg.service.consul' },
  };
  for (const [text, value] of Object.entries(cases)) {
    t.strictSame(parseEndpointName(text), { ok: true, value }, text);
  }
});

t.test('name: what is refused says what was expected', async (t) => {
  const cases = {
    db: 'no port, expected name:port',
    ':80': 'no name, expected one such as db.example.com',
    '.:80': 'no name, expected one such as db.example.com',
    'db:0': '"0" is not a port, expected a number from 1 to 65535',
    'db:65536': '"65536" is not a port, expected a number from 1 to 65535',
    'db:080': '"080" is not a port, expected a number from 1 to 65535',
    'db:': '"" is not a port, expected a number from 1 to 65535',
    '127.0.0.1:80': '"127.0.0.1" is an address, expected a name',
    '127.0.1:80': '"127.0.1" is neither a name nor an address',
    'a..b:80': '"" is not part of a name, expected up to 63 letters, digits, "-" and "_"',
    '-a.b:80': '"-a" is not part of a name, expected up to 63 letters, digits, "-" and "_"',
    'a b:80': '"a b" is not part of a name, expected up to 63 letters, digits, "-" and "_"',
    'srv:_pg._tcp.example.com:80': 'a port, expected srv:name alone: SRV records have the ports',
    'srv:': 'no name, expected one such as db.example.com',
  };
  for (const [text, reason] of Object.entries(cases)) {
    t.strictSame(parseEndpointName(text), { ok: false, reason }, text);
  }
  t.equal(parseEndpointName(`${'a'.repeat(64)}.b:80`).ok, false);
  t.equal(parseEndpointName(`${'a'.repeat(63)}.b:80`).ok, true);
  t.match(parseEndpointName(`${'a.'.repeat(127)}:80`), { ok: true });
  t.match(parseEndpointName(`${'ab.'.repeat(85)}:80`), { reason: /254 characters of name/ });
});

t.test('name: what is asked for does not depend on the port', async (t) => {
  t.equal(lookupText({ kind: 'host', host: 'db', port: 1 }), 'db');
  t.equal(lookupText({ kind: 'service', service: '_pg._tcp.b' }), 'srv:_pg._tcp.b');
});
