// Captures of flows whose records are the kernel's: the plaintext goes through pipes, and is duplicated there.
import { createHash } from 'node:crypto';
import t from 'tap';
import { start } from '#src/index.js';
import { bytesOf, ended } from '#test/support/capture/captures-found.js';
import { addressOf, echoOrigin } from '#test/support/control/live-proxy.js';
import { within } from '#test/support/deadline.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';
import { payload } from '#test/support/random.js';
import { certificate, dial, everything, kit } from '#test/support/tls/tls-kit.js';

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`capture in the kernel: the plaintext, ${version}`, { timeout: 30_000 }, async (t) => {
    const directory = `${temporaryDirectory(t)}/c`;
    const origin = await echoOrigin(t);
    const { chain, key } = certificate(['a.test']);
    const cert = kit.write('captured.pem', chain + key);
    const headgate = await start(
      JSON.stringify({
        workers: 1,
        log: { level: 'silent' },
        listeners: {
          a: {
            bind: '127.0.0.1:0',
            tls: { certificates: [{ cert }], kernel: 'require' },
            tcp: { upstream: 'u', capture: { directory } },
          },
        },
        upstreams: { u: { endpoints: [origin.address] } },
      }),
    );
    t.teardown(() => headgate.close());
    const port = Number(addressOf(headgate, 'a').split(':')[1]);
    const options = { minVersion: version, maxVersion: version };
    const lengths = [100, 4_000_001];
    for (const length of lengths) {
      const socket = await dial(port, options);
      const sent = payload(length, length);
      socket.end(sent);
      const heard = await within(20_000, 'the echo', everything(socket));
      t.ok(heard.equals(sent));
    }
    const captures = await ended(directory, lengths.length);
    for (const [at, capture] of captures.entries()) {
      const sent = payload(lengths[at]!, lengths[at]!);
      t.equal(capture.state, 'complete', JSON.stringify(capture.end));
      t.equal(sha(bytesOf(capture, 'client')), sha(sent));
      t.equal(sha(bytesOf(capture, 'upstream')), sha(sent));
      t.match(capture.head.tls, version === 'TLSv1.3' ? /^1\.3/ : /^1\.2/);
    }
    const { totals, up } = headgate.stats();
    t.ok(totals.capture_tee_bytes > 1_000_000, `${totals.capture_tee_bytes} bytes by tee`);
    t.ok(up.spliceBytes > 1_000_000);
  });
}
