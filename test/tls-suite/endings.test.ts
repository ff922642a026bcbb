// How streams end other than well: cut off, damaged, by an alert; and that ends in good order are said to be.
import type { ConnectionOptions } from 'node:tls';
import type { Test } from 'tap';
import { ByteStream } from '#test/support/bytes.js';
import { echoOrigin } from '#test/support/control/live-proxy.js';
import { within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { Meddler } from '#test/support/peers/meddler.js';
import { Origin } from '#test/support/peers/origin.js';
import type { Peer } from '#test/support/peers/peer.js';
import { runProgram } from '#test/support/programs/program.js';
import { OpensslClient } from '#test/support/tls/openssl-client.js';
import { authority, certificate, dial, everything, kit } from '#test/support/tls/tls-kit.js';
import { begin, dialPeer } from '#test/support/tls-suite/suite-flow.js';
import { place } from '#test/support/tls-suite/tls-place.js';
import {
  type Suite,
  type SuiteProxy,
  servedTls,
  suiteTest,
  versions,
} from '#test/support/tls-suite/tls-suite.js';

const timeout = { timeout: 30_000 };
const missing = missingProgram(['openssl']);
const stream = new ByteStream(5);
/** One that is copied, and one that is spliced where it can be. */
const lengths = [100, 3_000_001];

/** Bytes of the stream go from one end to the other. */
async function carry(from: Peer, to: Peer, length: number): Promise<void> {
  const sent = within(5_000, 'bytes', from.sendStream(stream, length));
  await within(5_000, 'bytes', to.receiveStream(stream, length));
  await sent;
}

/** A proxy before an endpoint that echoes. */
async function echoing(t: Test, { start }: Suite, tls: object = {}): Promise<SuiteProxy> {
  const origin = await echoOrigin(t);
  return start({
    listeners: { in: { tls: servedTls(tls), tcp: { upstream: 'one' } } },
    upstreams: { one: { endpoints: [origin.address] } },
  });
}

/** What a client of these options is told in the end. */
async function errorOf(port: number, options: ConnectionOptions): Promise<string> {
  try {
    const socket = await dial(port, options);
    socket.end('hello');
    return (await everything(socket)).toString();
  } catch (error) {
    return String(error);
  }
}

const codeOf = (error: NodeJS.ErrnoException): string => String(error.code);

for (const version of versions) {
  suiteTest(missing, `tls endings: a client is cut off, ${version}`, timeout, async (t, suite) => {
    const { proxy, origin } = await begin(t, suite);
    const meddler = await Meddler.before(t, proxy.port);
    for (const length of lengths) {
      const client = dialPeer(meddler, { version });
      const upstream = await origin.accept();
      await carry(client, upstream, length);
      // A FIN without close_notify.
      meddler.cut('up');
      await within(5_000, 'the end', upstream.receiveEnd());
      upstream.close();
      client.close();
    }
    await proxy.linesOf(2);
    t.same(proxy.stats().tls.client.endings, { truncated: 2 });
  });

  // Of a FIN inside a record the kernel says no more than of one behind it (tls_rx_rec_wait).
  if (place.kernel !== 'require') {
    suiteTest(
      missing,
      `tls endings: a client is cut off inside a record, ${version}`,
      timeout,
      async (t, suite) => {
        const { proxy, origin } = await begin(t, suite);
        const meddler = await Meddler.before(t, proxy.port);
        for (const length of lengths) {
          const client = dialPeer(meddler, { version });
          const upstream = await origin.accept();
          await carry(client, upstream, length);
          meddler.severed.add('up');
          await client.send('which will not be whole');
          t.equal(await within(5_000, 'the end', upstream.ending()), 'reset');
          client.close();
          upstream.close();
        }
        const lines = await proxy.linesOf(2);
        t.same(
          lines.map(({ bytes_up, close }) => [bytes_up, close]),
          lengths.map((length) => [length, 'client_reset']),
        );
        t.same(proxy.stats().tls.client.endings, { truncated: 2 });
      },
    );
  }

  suiteTest(
    missing,
    `tls endings: an endpoint is cut off, ${version}`,
    timeout,
    async (t, { start }) => {
      authority();
      const { chain: cert, key } = certificate(['app.test']);
      const only = { minVersion: version, maxVersion: version };
      const origin = await Origin.listen('127.0.0.1:0', undefined, { cert, key, ...only });
      t.teardown(() => origin.close());
      const meddler = await Meddler.before(t, Number(origin.address.split(':')[1]));
      const tls = { ca: kit.path('authority.pem'), server_name: 'app.test' };
      const proxy = await start({
        listeners: { in: { tls: servedTls(), tcp: { upstream: 'one' } } },
        upstreams: { one: { endpoints: [`127.0.0.1:${meddler.port}`], tls } },
      });
      for (const length of lengths) {
        const client = dialPeer(proxy, { version });
        const upstream = await origin.accept();
        await carry(upstream, client, length);
        meddler.cut('down');
        await within(5_000, 'the end', client.receiveEnd());
        client.close();
        upstream.close();
      }
      await proxy.linesOf(2);
      t.same(proxy.stats().tls.upstream.endings, { truncated: 2 });
    },
  );

  suiteTest(missing, `tls endings: records are damaged, ${version}`, timeout, async (t, suite) => {
    const { proxy, origin } = await begin(t, suite);
    const meddler = await Meddler.before(t, proxy.port);
    for (const [flow, way] of (['up', 'down', 'up', 'down'] as const).entries()) {
      const length = flow < 2 ? 100 : 3_000_001;
      const client = dialPeer(meddler, { version });
      const upstream = await origin.accept();
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        await carry(from, to, length);
      }
      meddler.spoiled.add(way);
      const isUp = way === 'up';
      await (isUp ? client : upstream).send('which will arrive otherwise');
      // Nobody takes the end for one in good order.
      const heard = within(5_000, 'the end of the client', client.ending()).catch(codeOf);
      t.equal(await within(5_000, 'the end of the endpoint', upstream.ending()), 'reset');
      t.match(await heard, isUp ? /BAD_RECORD_MAC|reset/ : /BAD_RECORD_MAC|CIPHER|DECRYPT/);
      client.close();
      upstream.close();
      const line = (await proxy.linesOf(flow + 1)).at(-1)!;
      t.match(line, {
        bytes_up: length,
        bytes_down: length + (isUp ? 0 : 'which will arrive otherwise'.length),
        tls: { failure: isUp ? 'bad_record' : 'alert_received:bad_record_mac' },
        close: 'client_reset',
      });
    }
    t.same(proxy.stats().tls.client.endings, { bad_record: 2, peer_alert: 2 });
  });
}

suiteTest(
  missing,
  'tls endings: what cannot be agreed on is an alert',
  timeout,
  async (t, suite) => {
    const proxies = [
      await echoing(t, suite, { min_version: '1.3' }),
      await echoing(t, suite, { max_version: '1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }),
      await echoing(t, suite, { curves: 'P-384' }),
    ];
    for (const [index, options, alert, failure] of [
      [0, { maxVersion: 'TLSv1.2' }, /protocol.version/i, 'unsupported_version'],
      [1, { minVersion: 'TLSv1.3' }, /protocol.version/i, 'unsupported_version'],
      [1, { ciphers: 'ECDHE-RSA-AES256-GCM-SHA384' }, /handshake.failure/i, 'no_shared_cipher'],
      [2, { ecdhCurve: 'X25519', minVersion: 'TLSv1.3' }, /handshake.failure/i, 'no_shared_group'],
    ] as const) {
      const proxy = proxies[index]!;
      const before = proxy.lines().length;
      t.match(await errorOf(proxy.port, options), alert);
      const line = (await proxy.linesOf(before + 1)).at(-1);
      t.match(line, { close: 'tls_failed', tls: { failure } });
    }
  },
);

suiteTest(
  missingProgram(['openssl', 'curl']),
  'tls endings: clients that do not trust us say so',
  timeout,
  async (t, suite) => {
    kit.authority('others');
    const proxy = await echoing(t, suite);
    const ca = kit.path('others.pem');
    let flows = 0;
    for (const version of versions) {
      const number = version.slice(4);
      const curl = [
        ...['curl', '-sS', '--cacert', ca, `--tlsv${number}`, '--tls-max', number],
        ...['--resolve', `a.test:${proxy.port}:127.0.0.1`, `https://a.test:${proxy.port}/`],
      ];
      await t.rejects(runProgram(curl, 10_000), /exit 60/);
      const flag = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
      const client = new OpensslClient(t, proxy.port, flag, '-CAfile', ca);
      await client.end();
      t.match(client.output, /unable to get local issuer certificate/);
      flows += 2;
      for (const line of (await proxy.linesOf(flows)).slice(-2)) {
        t.match(line, { close: 'tls_failed', tls: { failure: 'alert_received:unknown_ca' } });
      }
    }
  },
);

suiteTest(missing, 'tls endings: good ones are said to be', timeout, async (t, suite) => {
  for (const first of ['client', 'upstream'] as const) {
    const { proxy, origin } = await begin(t, suite);
    for (const flag of ['-tls1_2', '-tls1_3']) {
      const client = new OpensslClient(t, proxy.port, flag);
      const upstream = await origin.accept();
      await upstream.send('a line\n');
      await client.says(/^a line$/m);
      if (first === 'upstream') upstream.end();
      else client.write('Q\n');
      await within(5_000, 'the end', upstream.receiveEnd());
      upstream.end();
      await client.end();
      // What OpenSSL says of an end without close_notify.
      t.notMatch(client.output, /unexpected eof/);
    }
    const lines = await proxy.linesOf(2);
    t.match(lines, [{ close: 'done' }, { close: 'done' }]);
    t.same(proxy.stats().tls.client.endings, { close_notify: 2 });
  }
});

suiteTest(missing, 'tls endings: renegotiation is refused', timeout, async (t, suite) => {
  const proxy = await echoing(t, suite);
  const client = new OpensslClient(t, proxy.port, '-tls1_2');
  client.write('before\n');
  await client.says(/^before$/m);
  client.write('R\n');
  await client.says(/RENEGOTIATING[\s\S]*(no renegotiation|alert)/i);
  await proxy.linesOf(1);
  t.equal(await errorOf(proxy.port, {}), 'hello', 'others are served');
});

for (const [letter, what] of [
  ['k', 'a KeyUpdate'],
  ['K', 'a KeyUpdate that asks for one'],
] as const) {
  suiteTest(
    missing,
    `tls endings: ${what} is followed, or ends the connection in good order`,
    timeout,
    async (t, suite) => {
      const proxy = await echoing(t, suite);
      const client = new OpensslClient(t, proxy.port, '-tls1_3');
      for (const round of [1, 2, 3]) {
        client.write(`before ${round}\n`);
        await client.says(new RegExp(`^before ${round}$`, 'm'));
        client.write(`${letter}\n`);
        await client.says(new RegExp(`(KEYUPDATE[\\s\\S]*){${round}}`));
        client.write(`after ${round}\n`);
        if (!place.followsKeyUpdates) break;
        await client.says(new RegExp(`^after ${round}$`, 'm'));
      }
      if (place.followsKeyUpdates) {
        client.write('Q\n');
        await client.end();
        const [line] = await proxy.linesOf(1);
        t.match(line, { close: 'done' });
        return;
      }
      await client.says(/alert internal error|alert number 80/);
      const [line] = await proxy.linesOf(1);
      t.match(line, { tls: { failure: 'key_update' } });
      t.same(proxy.stats().tls.client.endings, { key_update: 1 });
    },
  );
}

suiteTest(missing, 'tls endings: a reset is a reset', timeout, async (t, suite) => {
  const { proxy, origin } = await begin(t, suite);
  for (const version of versions) {
    const client = dialPeer(proxy, { version });
    const upstream = await origin.accept();
    await client.send('hello');
    await within(5_000, 'a word', upstream.receive(5));
    upstream.reset();
    t.equal(await within(5_000, 'the end', client.ending()), 'reset');
    client.close();
    const line = (await proxy.linesOf(version === 'TLSv1.2' ? 1 : 2)).at(-1);
    t.match(line, { close: 'upstream_reset', bytes_up: 5 });
  }
});
