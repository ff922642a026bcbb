import { scryptSync } from 'node:crypto';
import t from 'tap';
import {
  type GuardSnapshot,
  RATE_LIMIT_BYTES,
  Refusal,
  RouteGuard,
  refusalNames,
  refusalStatus,
} from '#src/proxy/http/guarding/index.js';
import { ConnectionLimit } from '#src/proxy/room.js';
import { clientAt, headOf, networks, openGuard } from '../requests.js';

function guard(some: Partial<GuardSnapshot>): RouteGuard {
  return new RouteGuard({ ...openGuard, ...some }, 0);
}

const somebody = clientAt('192.0.2.1');

function hashOf(password: string): string {
  const salt = Buffer.from('salt of sixteen.');
  const hash = scryptSync(password, salt, 32, { N: 2 ** 10, r: 8, p: 1 });
  const plain = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '');
  return `$scrypt$ln=10,r=8,p=1$${plain(salt)}$${plain(hash)}`;
}

const basic = (text: string) =>
  `GET /\nAuthorization: Basic ${Buffer.from(text).toString('base64')}`;

t.test('guard: refusals have names and statuses', async (t) => {
  t.strictSame(
    refusalNames.map((name) => refusalStatus(Refusal[name])),
    [403, 401, 503, 429, 503, 413, 403, 501, 502],
  );
});

t.test('guard: networks', async (t) => {
  const one = guard({ allow: networks('10.0.0.0/8'), deny: networks('10.66.0.0/16') });
  const enter = (ip: string) => one.enter(headOf('GET /'), clientAt(ip), 0);
  t.equal(enter('10.0.0.1'), Refusal.none);
  t.equal(enter('10.66.0.1'), Refusal.denied);
  t.equal(enter('192.0.2.1'), Refusal.denied);
  const unix = clientAt('', { source: { family: 'unix', path: '' } });
  t.equal(one.enter(headOf('GET /'), unix, 0), Refusal.denied, 'nobody in particular');
  const behind = clientAt('192.0.2.1', {}, networks('192.0.2.0/24'));
  const head = headOf('GET /\nX-Forwarded-For: 10.0.0.1');
  behind.identify(head);
  t.equal(one.enter(head, behind, 0), Refusal.none, 'whom a trusted proxy names');
});

t.test('guard: the length of a body', async (t) => {
  const one = guard({ bodyMax: 10 });
  const enter = (length: number) =>
    one.enter(headOf(`POST /\nContent-Length: ${length}`), somebody, 0);
  t.equal(enter(10), Refusal.none);
  t.equal(enter(11), Refusal.body_too_large);
  t.equal(guard({ bodyMax: 0 }).enter(headOf('GET /'), somebody, 0), Refusal.none);
});

t.test('guard: a rate for each client, header or route', async (t) => {
  const rate = (key: 'source' | 'route' | { header: string }) =>
    guard({
      rate: {
        requests: 1,
        perMs: 10_000,
        burst: 1,
        key,
        shared: new SharedArrayBuffer(RATE_LIMIT_BYTES),
      },
    });
  const other = clientAt('192.0.2.2');
  const bySource = rate('source');
  t.equal(bySource.enter(headOf('GET /'), somebody, 0), Refusal.none);
  t.equal(bySource.enter(headOf('GET /'), somebody, 0), Refusal.rate_limited);
  t.equal(bySource.fieldsFor(Refusal.rate_limited), 'Retry-After: 10\r\n');
  t.equal(bySource.enter(headOf('GET /'), other, 0), Refusal.none);
  const byRoute = rate('route');
  t.equal(byRoute.enter(headOf('GET /'), somebody, 0), Refusal.none);
  t.equal(byRoute.enter(headOf('GET /'), other, 0), Refusal.rate_limited);
  const byHeader = rate({ header: 'x-key' });
  const keyed = (key: string) => byHeader.enter(headOf(`GET /\nX-Key: ${key}`), somebody, 0);
  t.equal(keyed('a'), Refusal.none);
  t.equal(keyed('b'), Refusal.none);
  t.equal(keyed('a'), Refusal.rate_limited);
  t.equal(byHeader.enter(headOf('GET /'), somebody, 0), Refusal.none);
  t.equal(byHeader.enter(headOf('GET /'), other, 0), Refusal.rate_limited, 'those without one');
});

t.test('guard: requests under way, over all workers', async (t) => {
  const concurrent = { max: 2, shared: ConnectionLimit.createMemory(2) };
  const [one, two] = [0, 1].map((worker) => new RouteGuard({ ...openGuard, concurrent }, worker));
  const head = headOf('GET /');
  t.equal(one!.enter(head, somebody, 0), Refusal.none);
  t.equal(two!.enter(head, somebody, 0), Refusal.none);
  t.equal(one!.enter(head, somebody, 0), Refusal.concurrency_limited);
  t.equal(one!.fieldsFor(Refusal.concurrency_limited), 'Retry-After: 1\r\n');
  two!.leave();
  t.equal(one!.enter(head, somebody, 0), Refusal.none);
});

t.test('guard: passwords', async (t) => {
  const users = [{ name: 'alice', password: hashOf('wonder:land é') }];
  const one = guard({ basicAuth: { realm: 'a "b"', users } });
  let nowMs = 10_000_000;
  const enter = (request: string) => {
    nowMs += 10_000;
    return one.enter(headOf(request), somebody, nowMs);
  };
  t.equal(enter('GET /'), Refusal.unauthorized);
  t.equal(
    one.fieldsFor(Refusal.unauthorized),
    'WWW-Authenticate: Basic realm="a \\"b\\"", charset="UTF-8"\r\n',
  );
  t.equal(enter(basic('alice:wonder:land é')), Refusal.none);
  t.equal(enter(basic('alice:wonder:land é')), Refusal.none, 'remembered');
  t.equal(enter(basic('alice:wonder')), Refusal.unauthorized);
  t.equal(enter(basic('bob:wonder:land é')), Refusal.unauthorized);
  t.equal(enter(basic('alice')), Refusal.unauthorized);
  t.equal(enter('GET /\nAuthorization: Bearer x'), Refusal.unauthorized);
  t.equal(enter('GET /\nAuthorization: Basic !'), Refusal.unauthorized);
  t.equal(enter(basic('alice:wonder:land é\0')), Refusal.unauthorized, 'not the same to us');
  const right = basic('alice:wonder:land é');
  t.equal(enter(`${right}\nAuthorization: Basic eDp5`), Refusal.unauthorized, 'two of them');
});

t.test(
  'guard: guessing gets few answers a second, and the known are served meanwhile',
  async (t) => {
    const users = [{ name: 'alice', password: hashOf('right') }];
    const one = guard({ basicAuth: { realm: 'a', users } });
    const nowMs = 20_000_000;
    t.equal(one.enter(headOf(basic('alice:right')), somebody, nowMs - 5000), Refusal.none);
    const outcomes = Array.from({ length: 50 }, (_, n) =>
      one.enter(headOf(basic(`alice:${n}`)), somebody, nowMs + n),
    );
    const looked = outcomes.filter((outcome) => outcome === Refusal.unauthorized).length;
    t.ok(looked >= 7 && looked <= 9, `${looked} passwords were looked at`);
    t.equal(outcomes.at(-1), Refusal.authentication_busy);
    t.equal(one.fieldsFor(Refusal.authentication_busy), 'Retry-After: 1\r\n');
    t.equal(one.enter(headOf(basic('alice:right')), somebody, nowMs), Refusal.none);
  },
);
