import t from 'tap';
import { TlsVersion } from '#src/tls/index.js';
import { payload } from '#test/support/random.js';
import { certificate, dial, everything } from '#test/support/tls-kit.js';
import { plainSettings, TlsServer } from '#test/support/tls-server.js';

const timeout = 20_000;
const certificates = [certificate(['a.test']), certificate(['a.test'], 'rsa:2048')];

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`serving: ${version}, bytes come back as they went`, { timeout }, async (t) => {
    const server = await TlsServer.start(t, { ...plainSettings, certificates });
    for (const length of [1, 16384, 16385, 1 << 20, 16 << 20]) {
      const socket = await dial(server.port, { minVersion: version, maxVersion: version });
      const sent = payload(length, length);
      socket.end(sent);
      const received = await everything(socket);
      t.ok(received.equals(sent), `${length} bytes`);
      const { session } = await server.next('done');
      t.equal(session.version, version === 'TLSv1.2' ? TlsVersion.Tls12 : TlsVersion.Tls13);
      const { how, isTruncated } = await server.next('ended');
      t.same([how, isTruncated], ['end', false]);
    }
  });
}
