// Stopping while clients that have to speak first have not: whatever was to come, TLS, HTTP or a PROXY header, they
// are let go. Who has begun goes on.
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import type { Test } from 'tap';
import { connect, echoOrigin } from '#test/support/control/live-proxy.js';
import { until, within } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { freePort } from '#test/support/peers/address.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';
import { recordedHellos } from '../corpus/client-hellos.js';

const tls = { certificates: [{ cert: kit.path('drain.pem') }] };
const acceptsHeaders = { accept_proxy_protocol: { from: ['127.0.0.0/8'] } };
const tcp = { tcp: { upstream: 'app' } };
const http = { http: { routes: [{ respond: { status: 200, body: 'here' } }] } };
const kinds = {
  tls: { tls, ...tcp },
  'tls-http': { tls, ...http },
  http,
  'header-tcp': { ...acceptsHeaders, ...tcp },
  'header-tls': { ...acceptsHeaders, tls, ...tcp },
  'header-http': { ...acceptsHeaders, ...http },
};

async function start(t: Test) {
  authority();
  const { chain, key } = certificate(['a.test']);
  kit.write('drain.pem', chain + key);
  const app = await echoOrigin(t);
  const ports = Object.fromEntries(
    await Promise.all(Object.keys(kinds).map(async (kind) => [kind, await freePort()] as const)),
  );
  const admin = `127.0.0.1:${await freePort()}`;
  const { headgate } = await startConfigured(t, {
    timeouts: { head: '15s', tls_handshake: '15s', drain: '15s' },
    admin: { bind: admin },
    listeners: Object.fromEntries(
      Object.entries(kinds).map(([kind, listener]) => [
        kind,
        { bind: `127.0.0.1:${ports[kind]}`, ...listener },
      ]),
    ),
    upstreams: { app: { endpoints: [app.address] } },
  });
  const accepted = async (count: number) => {
    await until(3_000, `${count} flows`, async () => {
      const reply = await fetch(`http://${admin}/api/flows`);
      return ((await reply.json()) as { flows: object[] }).flows.length === count;
    });
  };
  return { headgate, ports, accepted };
}

testWith(
  missingProgram(['openssl']),
  'drain: who owes the first word and does not say it is let go with a FIN',
  { timeout: 20_000 },
  async (t) => {
    const { headgate, ports, accepted } = await start(t);
    const endings = Object.keys(kinds).map((kind) => {
      const socket = connect(t, `127.0.0.1:${ports[kind]}`);
      const end = once(socket.resume(), 'end');
      return within(5_000, `${kind} is let go`, end, headgate.context);
    });
    await accepted(endings.length);
    headgate.signal('SIGTERM');
    await Promise.all(endings);
    const exit = await within(5_000, 'the exit', headgate.exit, headgate.context);
    t.same(exit, { code: 0, signal: null });
    const closes = headgate.flows().map(({ listener, close }) => `${listener} ${close}`);
    t.same(closes.sort(), ['header-tcp drained', 'header-tls drained', 'tls drained']);
  },
);

testWith(
  missingProgram(['openssl']),
  'drain: a handshake that has begun goes on to the end, and so does what follows',
  { timeout: 20_000 },
  async (t) => {
    const { headgate, ports, accepted } = await start(t);
    for (const kind of ['tls', 'tls-http']) {
      const hello = recordedHellos().find(({ name }) => name === 'curl')!.bytes;
      connect(t, `127.0.0.1:${ports[kind]}`).write(hello.subarray(0, 100));
    }
    const early = connect(t, `127.0.0.1:${ports['tls-http']}`);
    await accepted(3);
    headgate.signal('SIGTERM');
    await until(3_000, 'it drains', () => headgate.logs.some(({ msg }) => /drain/.test(msg)));
    // Silent so far, but not for a second.
    const socket = connectTls({ socket: early, servername: 'a.test', ca: authority() });
    await within(3_000, 'the handshake', once(socket, 'secureConnect'));
    const answer = once(socket, 'data');
    socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    const [data] = await within(3_000, 'the answer', answer);
    t.match(String(data), /^HTTP\/1\.1 200 [\s\S]*here$/);
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    t.equal(headgate.exited, undefined, 'half a ClientHello is waited for');
  },
);
