// What a slow reader costs while OpenSSL has the records: its writer waits, and no memory is spent on it.
import { connect } from 'node:tls';
import { ByteStream } from '#test/support/bytes.js';
import { within } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { Origin } from '#test/support/peers/origin.js';
import { Peer } from '#test/support/peers/peer.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';

const MiB = 1 << 20;
const stream = new ByteStream(2);

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  testWith(
    missingProgram(['openssl']),
    `tls memory: a slow reader costs none, ${version}`,
    { timeout: 60_000 },
    async (t) => {
      authority();
      const origin = await Origin.listen();
      t.teardown(() => origin.close());
      const { chain, key } = certificate(['a.test']);
      const tls = { certificates: [{ cert: kit.write('served.pem', chain + key) }], kernel: 'off' };
      const { headgate, finish } = await startConfigured(t, {
        listeners: { in: { bind: '127.0.0.1:0', tls, tcp: { upstream: 'one' } } },
        upstreams: { one: { endpoints: [origin.address] } },
      });
      const length = 32 * MiB;
      for (const reader of ['client', 'upstream'] as const) {
        const options = {
          ...{ host: '127.0.0.1', port: headgate.port, servername: 'a.test', ca: authority() },
          ...{ minVersion: version, maxVersion: version },
          // Node's types do not know it here.
          allowHalfOpen: true,
        };
        const client = new Peer(connect(options));
        const upstream = await origin.accept(headgate.context);
        const [reads, writes] = reader === 'client' ? [client, upstream] : [upstream, client];
        // The reader does not begin: what has left its writer comes to a stop.
        reads.socket.pause();
        const residentBefore = headgate.residentBytes();
        const sent = writes.sendStream(stream, length).then(() => writes.end());
        const last = await writes.heldUp();
        t.ok(last < length - 8 * MiB, `${reader}: ${last} of ${length} bytes were taken`);
        const grownMiB = (headgate.residentBytes() - residentBefore) / MiB;
        t.ok(grownMiB < 24, `${reader}: ${grownMiB.toFixed(1)} MiB more memory`);
        await within(30_000, 'all of it', reads.receiveStream(stream, length));
        await within(5_000, 'the end', Promise.all([sent, reads.receiveEnd()]));
        reads.end();
        await within(5_000, 'the other end', writes.receiveEnd());
        client.close();
        upstream.close();
      }
      await finish();
    },
  );
}
