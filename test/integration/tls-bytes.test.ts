// Bytes through TLS, compared one by one: both directions at once, half closed, and with readers that are slow.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import type { Test } from 'tap';
import { ByteStream } from '#test/support/bytes.js';
import { missingProgram, testWith } from '#test/support/capability.js';
import { startConfigured } from '#test/support/configured.js';
import { sleep, until, within } from '#test/support/deadline.js';
import type { Headgate } from '#test/support/headgate.js';
import { type Handler, Origin } from '#test/support/origin.js';
import { Peer } from '#test/support/peer.js';
import { runProgram } from '#test/support/program.js';
import { authority, certificate, kit } from '#test/support/tls-kit.js';

const timeout = { timeout: 60_000 };
const MiB = 1 << 20;
const versions = ['TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof versions)[number];

const [up, down] = [new ByteStream(1), new ByteStream(2)];

async function start(t: Test, handler?: Handler) {
  authority();
  const origin = await Origin.listen('127.0.0.1:0', handler);
  t.teardown(() => origin.close());
  const { chain, key } = certificate(['a.test']);
  const { headgate, finish } = await startConfigured(t, {
    log: { access: true },
    listeners: {
      in: {
        bind: '127.0.0.1:0',
        tls: { certificates: [{ cert: kit.write('served.pem', chain + key) }] },
        tcp: { upstream: 'one' },
      },
    },
    upstreams: { one: { endpoints: [origin.address] } },
  });
  return { origin, headgate, finish };
}

/** A client whose stream is what comes out of TLS; `end` says close_notify and keeps listening. */
function dial({ port }: Headgate, version: Version): Peer {
  const options = {
    host: '127.0.0.1',
    port,
    servername: 'a.test',
    ca: authority(),
    minVersion: version,
    maxVersion: version,
    // Node's types do not know it here.
    allowHalfOpen: true,
  };
  return new Peer(connect(options));
}

for (const version of versions) {
  testWith(
    missingProgram(['openssl']),
    `tls bytes: both directions at once, ${version}`,
    timeout,
    async (t) => {
      const { origin, headgate, finish } = await start(t);
      for (const length of [1, 16_384, 16_385, 1_000_003, 64 * MiB]) {
        const client = dial(headgate, version);
        const upstream = await origin.accept(headgate.context);
        await within(
          45_000,
          `${length} bytes both ways`,
          Promise.all([
            client.sendStream(up, length).then(() => client.end()),
            upstream.sendStream(down, length).then(() => upstream.end()),
            client.receiveStream(down, length).then(() => client.receiveEnd()),
            upstream.receiveStream(up, length).then(() => upstream.receiveEnd()),
          ]),
          headgate.context,
        );
        client.close();
        upstream.close();
      }
      const lines = await headgate.flowsEnded(5);
      t.strictSame(new Set(lines.map(({ close }) => close)), new Set(['done']));
      t.match(lines.at(-1), { bytes_up: 64 * MiB, bytes_down: 64 * MiB });
      await finish();
    },
  );

  testWith(
    missingProgram(['openssl']),
    `tls bytes: either side ends first, ${version}`,
    timeout,
    async (t) => {
      const { origin, headgate, finish } = await start(t);
      const length = 3_000_001;
      for (const first of ['client', 'upstream'] as const) {
        const client = dial(headgate, version);
        const upstream = await origin.accept(headgate.context);
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
        await within(10_000, 'the answer', ends.receiveStream(answer, length), headgate.context);
        await within(5_000, 'its end', Promise.all([sent, ends.receiveEnd()]));
        client.close();
        upstream.close();
        t.pass(`${first} first`);
      }
      const lines = await headgate.flowsEnded(2);
      t.strictSame(
        lines.map(({ close }) => close),
        ['done', 'done'],
      );
      await finish();
    },
  );

  testWith(
    missingProgram(['openssl']),
    `tls bytes: a slow reader holds up its writer, and no memory, ${version}`,
    timeout,
    async (t) => {
      const { origin, headgate, finish } = await start(t);
      const length = 32 * MiB;
      for (const reader of ['client', 'upstream'] as const) {
        const client = dial(headgate, version);
        const upstream = await origin.accept(headgate.context);
        const [reads, writes] = reader === 'client' ? [client, upstream] : [upstream, client];
        // The reader does not begin: what has left its writer comes to a stop.
        reads.socket.pause();
        const residentBefore = headgate.residentBytes();
        const written = () => writes.socket.bytesWritten - writes.socket.writableLength;
        const sent = writes.sendStream(down, length).then(() => writes.end());
        let last = -1;
        await until(10_000, 'the writer is held up', async () => {
          const before = last;
          last = written();
          await sleep(200);
          return last > 0 && before === last;
        });
        t.ok(last < length - 8 * MiB, `${reader}: ${last} of ${length} bytes were taken`);
        const grownMiB = (headgate.residentBytes() - residentBefore) / MiB;
        t.ok(grownMiB < 24, `${reader}: ${grownMiB.toFixed(1)} MiB more memory`);
        const pace = { everyBytes: 4 * MiB, pauseMs: 20 };
        await within(30_000, 'all of it', reads.receiveStream(down, length, pace));
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

testWith(
  missingProgram(['openssl', 'curl']),
  'tls bytes: curl posts 64 MiB and hears them at the same time',
  timeout,
  async (t) => {
    authority();
    const origin = createServer((request, response) => request.pipe(response));
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    t.teardown(() => origin.close());
    const { port } = origin.address() as AddressInfo;
    const { chain, key } = certificate(['a.test']);
    const { headgate } = await startConfigured(t, {
      listeners: {
        in: {
          bind: '127.0.0.1:0',
          tls: { certificates: [{ cert: kit.write('served.pem', chain + key) }] },
          http: { routes: [{ upstream: 'one' }] },
        },
      },
      upstreams: { one: { endpoints: [`127.0.0.1:${port}`] } },
    });
    const sent = up.slice(0, 64 * MiB);
    const file = kit.write('body', sent);
    const command = [
      ...['curl', '-sS', '--cacert', kit.path('authority.pem'), '-H', 'Expect:', '-T', file],
      ...['--resolve', `a.test:${headgate.port}:127.0.0.1`, `https://a.test:${headgate.port}/`],
    ];
    const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    const { stdout } = await runProgram(command, 45_000);
    t.equal(sha(stdout), sha(sent));
  },
);
