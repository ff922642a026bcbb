// Responses without a length, whose end is close_notify. A FIN alone, which anybody on the way can send (RFC 9112 §9.8),
// is taken for it because many servers end so, and counted (docs/http.md).
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { ByteStream } from '#test/support/bytes.js';
import { within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { Meddler } from '#test/support/peers/meddler.js';
import { Peer } from '#test/support/peers/peer.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';
import { place } from '#test/support/tls-suite/tls-place.js';
import { suiteTest, versions } from '#test/support/tls-suite/tls-suite.js';

const stream = new ByteStream(9);

for (const version of versions) {
  suiteTest(
    missingProgram(['openssl']),
    `tls close-delimited: a response without close_notify is counted, ${version}`,
    { timeout: 30_000 },
    async (t, { start }) => {
      authority();
      const { chain: cert, key } = certificate(['app.test']);
      const only = { minVersion: version, maxVersion: version };
      let last: TLSSocket;
      const app = createServer({ cert, key, ...only }, (socket) => {
        last = socket;
        socket.on('error', () => {});
        socket.once('data', (request) => {
          const [, length, how] = /^GET \/(\d+)\/(\w+) /.exec(request.toString('latin1'))!;
          socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
          socket.write(stream.slice(0, Number(length)), () => {
            if (how === 'whole') socket.end();
          });
        });
      });
      app.listen(0, '127.0.0.1');
      await within(5_000, 'the endpoint listens', once(app, 'listening'));
      t.teardown(() => app.close());
      const meddler = await Meddler.before(t, (app.address() as AddressInfo).port);
      const tls = { ca: kit.path('authority.pem'), server_name: 'app.test' };
      const proxy = await start({
        listeners: { in: { http: { routes: [{ upstream: 'one' }] } } },
        upstreams: { one: { endpoints: [`127.0.0.1:${meddler.port}`], tls } },
      });
      for (const length of [100, 3_000_001]) {
        for (const how of ['whole', 'cut'] as const) {
          const client = new Peer(connectTcp(proxy.port, '127.0.0.1'));
          await client.send(`GET /${length}/${how} HTTP/1.1\r\nHost: app.test\r\n\r\n`);
          let head = '';
          while (!head.endsWith('\r\n\r\n'))
            head += await within(5_000, 'a head', client.receive(1));
          t.match(head, /^HTTP\/1\.1 200 /);
          await within(10_000, 'a body', client.receiveStream(stream, length));
          if (how === 'cut') meddler.cut('down');
          t.equal(await within(5_000, 'an end', client.ending()), 'fin', `${length} bytes, ${how}`);
          client.close();
        }
      }
      const lines = await proxy.linesOf(4, 'request');
      t.ok(lines.every(({ status, close }) => status === 200 && close === undefined));
      t.same(proxy.stats().tls.upstream.endings, { close_notify: 2, truncated: 2 });
      // Of a FIN inside a record the kernel says no more than of one behind it (tls_rx_rec_wait).
      if (place.kernel === 'require') return;
      const client = new Peer(connectTcp(proxy.port, '127.0.0.1'));
      await client.send('GET /100/severed HTTP/1.1\r\nHost: app.test\r\n\r\n');
      await within(5_000, 'the beginning', client.receive(15));
      meddler.severed.add('down');
      last!.write('which will not be whole');
      t.equal(await within(5_000, 'an end', client.ending()), 'reset', 'nobody takes it for whole');
      client.close();
      t.match((await proxy.linesOf(5, 'request')).at(-1), { status: 200, close: 'upstream_reset' });
      t.same(proxy.stats().tls.upstream.endings, { close_notify: 2, truncated: 3 });
    },
  );
}
