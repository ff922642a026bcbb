import t from 'tap';
import { HashKey } from '#src/proxy/http/hash-key.js';
import { clientAt, headOf, networks } from './requests.js';
import { policyOf } from './rewriting/exchange-rig.js';

/** Whether two requests belong together. */
function together(
  key: string,
  one: string,
  other: string,
  listener: Parameters<typeof policyOf>[0] = {},
): boolean {
  const { policy, client } = policyOf(listener);
  const hash = new HashKey(key);
  const [first, second] = [one, other].map((request) => {
    policy.begin(headOf(request), client);
    policy.choose();
    return hash.of(policy);
  });
  return first === second;
}

t.test('hash key: what requests share', async (t) => {
  t.ok(together('header:X-User', 'GET /a\nX-User: eve', 'PUT /b\nx-user: eve'));
  t.notOk(together('header:X-User', 'GET /\nX-User: eve', 'GET /\nX-User: adam'));
  t.notOk(together('header:X-User', 'GET /', 'GET /'), 'without the field by turns');
  t.ok(together('cookie:s', 'GET /\nCookie: a=b; s=1', 'GET /\nCookie: s=1'));
  t.notOk(together('cookie:s', 'GET /\nCookie: s=1', 'GET /\nCookie: s=2'));
  t.notOk(together('cookie:s', 'GET /', 'GET /'));
  t.ok(together('path', 'GET /a?x', 'GET //%61'));
  t.notOk(together('path', 'GET /a', 'GET /b'));
  t.ok(together('source_ip', 'GET /a', 'GET /b'));
});

t.test('hash key: the client behind a trusted proxy', async (t) => {
  const listener = { trustedProxies: networks('192.0.2.0/24') };
  const from = (ip: string) => `GET /\nX-Forwarded-For: ${ip}`;
  t.ok(together('source_ip', from('10.0.0.1'), from('10.0.0.1'), listener));
  t.notOk(together('source_ip', from('10.0.0.1'), from('10.0.0.2'), listener));
});

t.test('hash key: a client that gets its cookie now is known by it already', async (t) => {
  const { policy, client } = policyOf({ route: { sticky: { cookie: 's', maxAge: null } } });
  const hash = new HashKey('cookie:s');
  policy.begin(headOf('GET /'), client);
  policy.choose();
  const given = hash.of(policy);
  const value = policy.stickyValue!;
  policy.begin(headOf(`GET /\nCookie: s=${value}`), client);
  policy.choose();
  t.equal(hash.of(policy), given);
  t.equal(policy.isStickyNew, false);
});

t.test('hash key: a cookie without a value is none, and the client gets one', async (t) => {
  const { policy, client } = policyOf({ route: { sticky: { cookie: 's', maxAge: null } } });
  for (const value of ['', '""', ' ']) {
    policy.begin(headOf(`GET /\nCookie: a=1; s=${value}; b=2`), client);
    policy.choose();
    t.equal(policy.isStickyNew, true);
    t.ok(policy.stickyValue);
  }
});

t.test('hash key: clients of a Unix socket have no address', async (t) => {
  const { policy } = policyOf();
  const unix = clientAt('', { source: { family: 'unix', path: '' } });
  const hash = new HashKey('source_ip');
  policy.begin(headOf('GET /'), unix);
  t.not(hash.of(policy), hash.of(policy));
});
