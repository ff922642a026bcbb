// How flows end and wait: half closed by either side, behind a reader that is slow; to endpoints in the clear and by TLS.
import { ByteStream } from '#test/support/bytes.js';
import { sleep, within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import {
  begin,
  dialPeer,
  down,
  swap,
  up,
  upstreamKinds,
} from '#test/support/tls-suite/suite-flow.js';
import { place } from '#test/support/tls-suite/tls-place.js';
import { suiteTest, versions } from '#test/support/tls-suite/tls-suite.js';

const timeout = { timeout: 60_000 };
const missing = missingProgram(['openssl']);
const MiB = 1 << 20;

for (const version of versions) {
  suiteTest(
    missing,
    `tls bytes: from TLS to TLS, four at once, ${version}`,
    timeout,
    async (t, suite) => {
      const { proxy, origin } = await begin(t, suite, 'TLS');
      const clients = [1, 2, 3, 4].map(() => dialPeer(proxy, { version }));
      await Promise.all(
        clients.map(async (client) => {
          // Who is whose is not known before the first byte: they all say the same.
          const upstream = await origin.accept();
          await swap(client, upstream, 4 * MiB);
        }),
      );
      const lines = await proxy.linesOf(4);
      t.strictSame(new Set(lines.map(({ close }) => close)), new Set(['done']));
      t.match(lines[0], {
        path_up: place.longPath,
        path_down: place.longPath,
        upstream_tls: { kernel_tx: place.kernel === 'require', peer_verified: true },
      });
    },
  );

  for (const kind of upstreamKinds) {
    suiteTest(
      missing,
      `tls bytes: either side ends first, ${version}, ${kind} endpoint`,
      timeout,
      async (t, suite) => {
        const { proxy, origin } = await begin(t, suite, kind);
        const length = 3_000_001;
        for (const first of ['client', 'upstream'] as const) {
          const client = dialPeer(proxy, { version });
          const upstream = await origin.accept();
          const peers = {
            client: [client, upstream, up],
            upstream: [upstream, client, down],
          } as const;
          const [ends, stays, said] = peers[first];
          await within(5_000, 'a few words', ends.sendStream(said, 1000));
          ends.end();
          await within(5_000, 'they arrive, and the end', stays.receiveStream(said, 1000));
          await within(5_000, 'the end', stays.receiveEnd());
          // The other direction is open as before, for as long as it takes.
          await sleep(50);
          const answer = new ByteStream(3);
          const sent = stays.sendStream(answer, length).then(() => stays.end());
          await within(10_000, 'the answer', ends.receiveStream(answer, length));
          await within(5_000, 'its end', Promise.all([sent, ends.receiveEnd()]));
          client.close();
          upstream.close();
          t.pass(`${first} first`);
        }
        const lines = await proxy.linesOf(2);
        t.strictSame(
          lines.map(({ close }) => close),
          ['done', 'done'],
        );
      },
    );

    suiteTest(
      missing,
      `tls bytes: a slow reader holds up its writer, ${version}, ${kind} endpoint`,
      timeout,
      async (t, suite) => {
        const { proxy, origin } = await begin(t, suite, kind);
        const length = 32 * MiB;
        for (const reader of ['client', 'upstream'] as const) {
          const client = dialPeer(proxy, { version });
          const upstream = await origin.accept();
          const [reads, writes] = reader === 'client' ? [client, upstream] : [upstream, client];
          // The reader does not begin: what has left its writer comes to a stop.
          reads.socket.pause();
          const sent = writes.sendStream(down, length).then(() => writes.end());
          const last = await writes.heldUp();
          t.ok(last < length - 8 * MiB, `${reader}: ${last} of ${length} bytes were taken`);
          const { pipe_capacity_bytes } = proxy.stats().totals;
          t.ok(pipe_capacity_bytes <= 2 * MiB, `${pipe_capacity_bytes} bytes of pipes`);
          const pace = { everyBytes: 4 * MiB, pauseMs: 20 };
          await within(30_000, 'all of it', reads.receiveStream(down, length, pace));
          await within(5_000, 'the end', Promise.all([sent, reads.receiveEnd()]));
          reads.end();
          await within(5_000, 'the other end', writes.receiveEnd());
          client.close();
          upstream.close();
        }
      },
    );
  }
}
