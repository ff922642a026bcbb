// A certificate is renewed by a reload: new handshakes get the new one, flows and sessions go on.
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { echoOrigin } from '#test/support/control/live-proxy.js';
import { within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';
import { suiteTest } from '#test/support/tls-suite/tls-suite.js';

suiteTest(
  missingProgram(['openssl']),
  'tls renewal: a reload swaps the certificate, and a flow goes on',
  { timeout: 20_000 },
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
