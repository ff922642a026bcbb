// A certificate is renewed by a reload: new handshakes get the new one, flows and sessions go on.
import { once } from 'node:events';
import net from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { echoOrigin } from '#test/support/control/live-proxy.js';
import { until, within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';
import { servedTls, suiteTest } from '#test/support/tls-suite/tls-suite.js';

suiteTest(
  missingProgram(['openssl']),
  'tls renewal: a reload swaps the certificate, and a flow goes on',
  { timeout: 60_000 },
  async (t, { start }) => {
    const origin = await echoOrigin(t);
    authority();
    const old = certificate(['a.test'], 'ec:P-256', 30);
    const renewed = certificate(['a.test'], 'ec:P-256', 31);
    kit.write('served.pem', old.chain + old.key);
    const proxy = await start({
      workers: 2,
      listeners: {
        in: {
          tls: { certificates: [{ cert: kit.path('served.pem') }] },
          tcp: { upstream: 'one' },
        },
      },
      upstreams: { one: { endpoints: [origin.address] } },
    });
    const dial = async (session?: Buffer): Promise<TLSSocket> => {
      const socket = connect({
        host: '127.0.0.1',
        port: proxy.port,
        servername: 'a.test',
        ca: authority(),
        maxVersion: 'TLSv1.2',
        ...(session && { session }),
      });
      t.teardown(() => socket.destroy());
      await within(5000, 'the handshake', once(socket, 'secureConnect'));
      return socket;
    };
    const says = async (socket: TLSSocket, word: string) => {
      socket.write(word);
      const [heard] = await within(5000, 'the echo', once(socket, 'data'));
      return String(heard) === word;
    };
    const flow = await dial();
    t.ok(await says(flow, 'before'));
    const serial = flow.getPeerCertificate().serialNumber;
    const session = flow.getSession()!;
    kit.write('served.pem', renewed.chain + renewed.key);
    await proxy.reload();
    const next = await dial();
    t.not(next.getPeerCertificate().serialNumber, serial, 'the new certificate');
    next.destroy();
    t.ok(await says(flow, 'after'), 'the flow was not touched');
    for (let round = 0; round < 4; round++) {
      const again = await dial(session);
      t.equal(again.isSessionReused(), true, 'by either worker');
      t.ok(await says(again, 'again'));
      again.destroy();
    }
    flow.destroy();
  },
);

suiteTest(
  missingProgram(['openssl']),
  'tls renewal: who is silent until after a reload is met by what it has brought',
  { timeout: 60_000 },
  async (t, { start }) => {
    const origin = await echoOrigin(t);
    authority();
    kit.issue('leaving', { issuer: 'authority', names: ['DNS:leaving.test'] });
    const [cert, key] = [kit.text('leaving.pem'), kit.text('leaving.key')];
    kit.revocationList('list.crl', 'authority', 86_400, []);
    const tls = servedTls({
      client_auth: { ca: kit.path('authority.pem'), crl: kit.path('list.crl') },
    });
    const proxy = await start({
      listeners: {
        in: { tls, tcp: { upstream: 'one' } },
        web: { tls, http: { routes: [{ respond: { status: 200, body: 'here' } }] } },
      },
      upstreams: { one: { endpoints: [origin.address] } },
    });
    const ports = [proxy.port, proxy.portOf('web')];
    const silent = () =>
      ports.map((port) => {
        const socket = net.connect({ host: '127.0.0.1', port });
        t.teardown(() => socket.destroy());
        return socket;
      });
    /** @returns whether an answer came */
    const asks = async (socket: net.Socket) => {
      const client = connect({ socket, servername: 'a.test', ca: authority(), cert, key });
      client.on('error', () => {});
      client.write('GET / HTTP/1.1\r\nhost: a.test\r\n\r\n');
      const answer = once(client, 'data').then(
        () => true,
        () => false,
      );
      const isServed = await within(5000, 'an answer or an alert', answer);
      client.destroy();
      return isServed;
    };
    const accepted = (count: number) =>
      until(5000, 'all are accepted', () => proxy.stats().totals.flows_active === count);
    const before = silent();
    await accepted(2);
    for (const socket of before) t.equal(await asks(socket), true, 'served as long as it is good');
    await accepted(0);
    const early = silent();
    await accepted(2);
    // Twice: also who has taken the socket over has been replaced.
    await proxy.reload();
    kit.revocationList('list.crl', 'authority', 86_400, ['leaving']);
    await proxy.reload();
    for (const socket of [...early, ...silent()]) t.equal(await asks(socket), false, 'revoked');
    // The alert may be there before it is counted.
    await until(5000, 'all are refused by the list that is in force', () => {
      return proxy.stats().tls.client.failures['verify_failed:revoked'] === 4;
    });
  },
);
