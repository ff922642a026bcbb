import type { Logger } from 'pino';
import t from 'tap';
import { adviceFor, TlsTrouble } from '#src/proxy/upstream/index.js';
import { handshakeFailures } from '#src/tls/index.js';

t.test('tls trouble: once, then once a minute with how often it was', async (t) => {
  const lines: [object, string][] = [];
  const log = { warn: (...line: [object, string]) => lines.push(line) } as unknown as Logger;
  const about = { upstream: 'app', endpoint: '192.0.2.1:443' };
  const trouble = new TlsTrouble(log, about);
  const times = [1000, 1001, 30_000, 60_999, 61_000, 61_001, 200_000];
  for (const nowMs of times) {
    trouble.tell('verify_failed:expired', 'certificate has expired', nowMs);
  }
  const line = { ...about, failure: 'verify_failed:expired', detail: 'certificate has expired' };
  t.strictSame(
    lines.map(([fields]) => fields),
    [1, 4, 2].map((failures) => ({ ...line, failures })),
  );
  t.match(lines[0]![1], /^TLS with an endpoint failed: renew the certificate/);
  new TlsTrouble(log, about).tell('eof', '', 0);
  t.strictSame(lines.at(-1)![0], { ...about, failure: 'eof', failures: 1 }, 'no empty words');
});

t.test('tls trouble: for every failure there is something to do', async (t) => {
  for (const [failure, advice] of [
    ['verify_failed:unknown_issuer', /`tls.ca`/],
    ['verify_failed:chain_too_long', /`tls.ca`/],
    ['verify_failed:name_mismatch', /`tls.server_name`/],
    ['alert_received:certificate_required', /`tls.cert`/],
    ['alert_received:decode_error', /log of the endpoint/],
    ['no_shared_group', /`tls.curves`/],
    ['protocol_error', /speaks TLS/],
    ['eof', /speaks TLS/],
  ] as const) {
    t.match(adviceFor(failure), advice, failure);
  }
  for (const failure of handshakeFailures)
    t.match(adviceFor(failure), /^[a-z`].{20,}[^.]$/, failure);
});
