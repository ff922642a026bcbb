import tls from 'node:tls';
import t, { type Test } from 'tap';
import { systemClock } from '#src/control/discovery/index.js';
import type { CheckedEndpoint, HealthCheck, TlsCheck, Verdict } from '#src/control/health/index.js';
import { makeProbe } from '#src/control/health/probe.js';
import { within } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { expectNothingLeft, resources } from '../discovery/leftovers.js';
import { type Certificate, type Certificates, makeCertificates } from './certificates.js';
import { listen, serve } from './health-peer.js';

const missing = missingProgram(['openssl']);
let certificates: Certificates;

t.before(() => {
  if (missing === undefined) certificates = makeCertificates();
});

const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** What the client asked for is kept in `seen`. */
function serveTls(t: Test, { cert, key }: Certificate, seen: string[] = []) {
  const server = tls.createServer({ cert, key }, (socket) => {
    seen.push(String(socket.servername));
    socket.once('data', () => socket.end(answer));
  });
  return listen(t, server);
}

/** One check, which must leave nothing behind. */
async function probe(
  endpoint: CheckedEndpoint,
  tls: TlsCheck,
  rest: Partial<HealthCheck> = {},
): Promise<Verdict> {
  const before = resources();
  const check = { intervalMs: 1_000, timeoutMs: 2_000, rise: 1, fall: 1, tls, ...rest };
  const verdict = new Promise<Verdict>((resolve) => {
    makeProbe(endpoint, check, systemClock, resolve);
  });
  const result = await within(5_000, 'the verdict', verdict);
  await expectNothingLeft(before);
  return result;
}

function test(name: string, run: (t: Test) => Promise<void>): void {
  testWith(missing, `TLS probe: ${name}`, { timeout: 20_000 }, run);
}

test('a handshake is enough, HTTP may follow', async (t) => {
  const endpoint = await serveTls(t, certificates.good);
  const check = { verify: true, ca: certificates.ca };
  t.same(await probe(endpoint, check), { outcome: 'pass', reason: 'TLSv1.3 handshake done' });
  t.same(await probe(endpoint, check, { http: { path: '/', body: 'ok' } }), {
    outcome: 'pass',
    reason: '"ok" is in the body',
  });
});

test('the name asked for is the check’s, then the endpoint’s, never an address', async (t) => {
  const seen: string[] = [];
  const endpoint = await serveTls(t, certificates.good, seen);
  const check = { verify: true, ca: certificates.ca };
  await probe(endpoint, check);
  await probe({ ...endpoint, host: 'health.test' }, check);
  await probe({ ...endpoint, host: 'other.test' }, { ...check, serverName: 'health.test' });
  await probe(endpoint, { ...check, serverName: '127.0.0.1' });
  t.same(seen, ['false', 'health.test', 'health.test', 'false']);
});

test('a certificate for another name, unless nobody looks', async (t) => {
  const endpoint = await serveTls(t, certificates.good);
  const check = { verify: true, ca: certificates.ca, serverName: 'other.test' };
  t.same(await probe(endpoint, check), {
    outcome: 'fail',
    reason: 'certificate is not for other.test',
  });
  t.match(await probe(endpoint, { ...check, verify: false }), { outcome: 'pass' });
});

test('an expired certificate, one by itself, one of an unknown authority', async (t) => {
  const { ca, expired, good, selfSigned } = certificates;
  const cases = [
    [expired, ca, 'certificate has expired'],
    [selfSigned, undefined, 'certificate is self-signed'],
    [good, undefined, 'certificate has an issuer that is not known'],
  ] as const;
  for (const [certificate, ca, reason] of cases) {
    const endpoint = await serveTls(t, certificate);
    t.same(await probe(endpoint, { verify: true, ca }), { outcome: 'fail', reason });
    t.match(await probe(endpoint, { verify: false }), { outcome: 'pass' });
  }
});

test('a server that does not speak TLS, hangs, closes or resets', async (t) => {
  const cases = [
    [(socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), /^TLS handshake failed: /],
    [() => undefined, /^timeout after 200 ms in the TLS handshake$/],
    [(socket) => socket.end(), /^connection closed in the TLS handshake$/],
    [
      (socket) => socket.once('data', () => socket.resetAndDestroy()),
      /^connection reset in the TLS handshake$/,
    ],
  ] satisfies [Parameters<typeof serve>[1], RegExp][];
  for (const [serveOne, reason] of cases) {
    const endpoint = await serve(t, serveOne);
    const verdict = await probe(endpoint, { verify: true }, { timeoutMs: 200 });
    t.match(verdict, { outcome: 'fail', reason });
  }
});

test('no version of TLS in common', async (t) => {
  const { cert, key } = certificates.good;
  const endpoint = await listen(t, tls.createServer({ cert, key, maxVersion: 'TLSv1.1' }));
  t.match(await probe(endpoint, { verify: false }), { reason: /^TLS handshake failed: .*version/ });
});
