// Checks that speak TLS, from the configuration file to what operators see.

import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { until } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { freePort } from '#test/support/peers/address.js';
import { startConfigured } from '#test/support/programs/configured.js';

import { temporaryDirectory } from '#test/support/programs/rig.js';
import {
  type Certificate,
  type Certificates,
  makeCertificates,
} from '../control/health/certificates.js';

const missing = missingProgram(['openssl']);
let certificates: Certificates;

t.before(() => {
  if (missing === undefined) certificates = makeCertificates();
});

/** An HTTPS server, which says what it was asked for. */
async function serve(t: Test, certificate: Certificate): Promise<string> {
  const server = tls.createServer({ ...certificate, minVersion: 'TLSv1.2' }, (socket) => {
    socket
      .on('error', () => {})
      .on('data', () => {
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok');
      });
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

testWith(
  missing,
  'health over TLS: who is trusted is up, and the others are said why',
  { timeout: 30_000 },
  async (t) => {
    const ca = `${temporaryDirectory(t)}/ca.pem`;
    writeFileSync(ca, certificates.ca);
    const [good, expired, selfSigned] = [
      await serve(t, certificates.good),
      await serve(t, certificates.expired),
      await serve(t, certificates.selfSigned),
    ];
    const admin = `127.0.0.1:${await freePort()}`;
    const upstream = (endpoint: string, tls: object, more = {}) => ({
      endpoints: [endpoint],
      health: { active: { interval: '50ms', timeout: '3s', rise: 1, fall: 1, tls, ...more } },
    });
    const named = { ca, server_name: 'health.test' };
    const expected = {
      handshake: [upstream(good, named), 'up', /TLSv1\.3 handshake done/],
      address: [upstream(good, { ca }), 'up', /handshake done/],
      http: [upstream(good, named, { http: '/healthz' }), 'up', /status 200/],
      'not-trusted': [
        upstream(good, { server_name: 'health.test' }),
        'down',
        /certificate|issuer/i,
      ],
      'other-name': [upstream(good, { ca, server_name: 'other.test' }), 'down', /other\.test/],
      expired: [upstream(expired, named), 'down', /expired/],
      'self-signed': [upstream(selfSigned, named), 'down', /self.signed/],
      unverified: [upstream(selfSigned, { verify: false }), 'up', /handshake done/],
    } as const;
    const { headgate } = await startConfigured(t, {
      admin: { bind: admin },
      listeners: { web: { bind: '127.0.0.1:0', tcp: { upstream: 'handshake' } } },
      upstreams: Object.fromEntries(
        Object.entries(expected).map(([name, [config]]) => [name, config]),
      ),
    });
    interface Status {
      name: string;
      endpoints: { state: string; check?: string }[];
    }
    const ask = async () => {
      const reply = await fetch(`http://${admin}/api/upstreams`);
      return ((await reply.json()) as { upstreams: Status[] }).upstreams;
    };
    await until(10_000, 'every check has a verdict', async () =>
      (await ask()).every(({ endpoints }) => endpoints[0]!.state !== 'unchecked'),
    );
    for (const { name, endpoints } of await ask()) {
      const [, state, check] = expected[name as keyof typeof expected];
      t.equal(endpoints[0]!.state, state, `${name}: ${endpoints[0]!.check}`);
      t.match(endpoints[0]!.check, check, name);
    }
    const warned = headgate.logs.filter(({ level, upstream }) => level >= 40 && upstream);
    t.ok(
      warned.some(({ upstream }) => upstream === 'expired'),
      'the log says what is down',
    );
  },
);
