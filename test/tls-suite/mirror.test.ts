// Mirrors of flows whose TLS ends here: the plaintext, which where the kernel has the records is duplicated in pipes
// by tee(2), compared byte by byte with what the client has sent; to shadows in the clear and by TLS.

import { echoOrigin } from '#test/support/control/live-proxy.js';
import { until, within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { Origin } from '#test/support/peers/origin.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';
import { dialPeer, up, upstreamKinds } from '#test/support/tls-suite/suite-flow.js';
import { place } from '#test/support/tls-suite/tls-place.js';
import { servedTls, suiteTest, versions } from '#test/support/tls-suite/tls-suite.js';

const timeout = { timeout: 30_000 };
/** One that is copied, one that is spliced where it can be, and both in one. */
const lengths = [100, 16_385, 4_000_001];

for (const version of versions) {
  for (const kind of upstreamKinds) {
    suiteTest(
      missingProgram(['openssl']),
      `tls mirror: the shadow has every byte, ${version}, ${kind} shadow`,
      timeout,
      async (t, { start }) => {
        authority();
        const { chain: cert, key } = certificate(['shadow.test']);
        const secure = kind === 'TLS' ? { cert, key } : undefined;
        const app = await echoOrigin(t);
        const shadow = await Origin.listen('127.0.0.1:0', undefined, secure);
        t.teardown(() => shadow.close());
        const tls = { ca: kit.path('authority.pem'), server_name: 'shadow.test' };
        const proxy = await start({
          listeners: { in: { tls: servedTls(), tcp: { upstream: 'app', mirror: 'shadow' } } },
          upstreams: {
            app: { endpoints: [app.address] },
            shadow: { endpoints: [shadow.address], ...(secure && { tls }) },
          },
        });
        for (const length of lengths) {
          const client = dialPeer(proxy, { version });
          const copy = await shadow.accept();
          await within(
            15_000,
            `${length} bytes there and back, and at the shadow`,
            Promise.all([
              client.sendStream(up, length).then(() => client.end()),
              client.receiveStream(up, length).then(() => client.receiveEnd()),
              copy.receiveStream(up, length).then(() => copy.receiveEnd()),
            ]),
          );
          client.close();
          copy.close();
        }
        const lines = await proxy.linesOf(lengths.length);
        for (const [index, { close, mirror }] of lines.entries()) {
          t.match({ close, mirror }, { close: 'done', mirror: { bytes: lengths[index] } });
        }
        const { listeners, totals } = proxy.stats();
        t.match(listeners.in, { mirrored: lengths.length, mirrorsCut: {} });
        const [teed, copied] = [totals.mirror_teed_bytes, totals.mirror_copied_bytes];
        t.equal(
          teed + copied,
          lengths.reduce((sum, length) => sum + length, 0),
        );
        const isTeed = place.kernel === 'require';
        t.equal(teed > 3_000_000, isTeed, `${teed} bytes by tee, ${copied} copied`);
        const isOver = () => proxy.stats().totals.mirrors_active === 0;
        await until(5_000, 'no mirror is left', isOver);
      },
    );
  }
}
