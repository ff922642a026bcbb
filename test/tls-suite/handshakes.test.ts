// Handshakes that are none, that are slow, in pieces, or too many at once; and that the next client is served.
import { connect as connectTcp, type Socket } from 'node:net';
import type { Test } from 'tap';
import { recordedHellos } from '#test/corpus/client-hellos.js';
import { mutate } from '#test/fuzz/mutation.js';
import { echoOrigin } from '#test/support/control/live-proxy.js';
import { within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { closed } from '#test/support/peers/closed.js';
import { Meddler } from '#test/support/peers/meddler.js';
import { payload, Random } from '#test/support/random.js';
import { dial, everything } from '#test/support/tls/tls-kit.js';
import { place } from '#test/support/tls-suite/tls-place.js';
import {
  type Suite,
  type SuiteProxy,
  servedTls,
  suiteTest,
  versions,
} from '#test/support/tls-suite/tls-suite.js';

const timeout = { timeout: 60_000 };
const missing = missingProgram(['openssl']);

async function begin(t: Test, { start }: Suite, timeouts: object = {}): Promise<SuiteProxy> {
  const origin = await echoOrigin(t);
  return start({
    listeners: { in: { tls: servedTls(), tcp: { upstream: 'one' } } },
    upstreams: { one: { endpoints: [origin.address] } },
    timeouts,
  });
}

/** Greets, and hears it. */
async function isServed({ port }: { readonly port: number }): Promise<boolean> {
  const socket = await dial(port);
  socket.end('hello');
  return (await everything(socket)).toString() === 'hello';
}

/** Says something that is no TLS, and no more. @returns what there is to hear until the end */
async function say({ port }: SuiteProxy, bytes: Buffer, isEnded = true): Promise<Buffer> {
  const socket: Socket = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
  socket.write(bytes);
  if (isEnded) socket.end();
  await within(20_000, 'the end', closed(socket)).finally(() => socket.destroy());
  return Buffer.concat(chunks);
}

suiteTest(missing, 'tls handshakes: what is none has a name', timeout, async (t, suite) => {
  const proxy = await begin(t, suite);
  const [hello] = recordedHellos().map(({ bytes }) => bytes);
  const cases = [
    ['not_tls', payload(1, 500)],
    ['not_tls', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
    ['plain_http', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['eof', Buffer.alloc(0)],
    ['eof', Buffer.from([22, 3, 1])],
    ['eof', hello!.subarray(0, 100)],
    // A record of a ClientHello that is noise; an alert; data; a record that is too long.
    [/./, Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252]), payload(2, 508)])],
    [/./, Buffer.from([21, 3, 3, 0, 2, 2, 40])],
    [/./, Buffer.concat([Buffer.from([23, 3, 3, 0, 100]), payload(3, 100)])],
    [/./, Buffer.concat([Buffer.from([22, 3, 1, 0xff, 0xff]), payload(4, 70_000)])],
  ] as const;
  for (const [index, [expected, bytes]] of cases.entries()) {
    const heard = await say(proxy, bytes);
    const line = (await proxy.linesOf(index + 1)).at(-1)!;
    t.match(
      line,
      { close: 'tls_failed', bytes_up: 0, bytes_down: 0 },
      bytes.toString('hex', 0, 12),
    );
    t.match((line.tls as { failure: string }).failure, expected);
    if (expected === 'plain_http') t.match(heard.toString(), /^HTTP\/1\.1 400 /);
    else if (heard.length > 0) t.equal(heard[0], 21, 'an alert');
  }
  t.ok(await isServed(proxy));
});

suiteTest(missing, 'tls handshakes: fuzzed ones leave nothing', timeout, async (t, suite) => {
  const seed = Random.seed();
  const random = new Random(seed);
  const proxy = await begin(t, suite);
  const hellos = recordedHellos().map(({ bytes }) => bytes);
  const rounds = place.isSlow ? 10 : 30;
  for (let round = 0; round < rounds; round++) {
    const some = Array.from({ length: 10 }, () => mutate(random, hellos));
    await Promise.all(some.map((bytes) => say(proxy, bytes)));
  }
  const { handshakes, failures } = proxy.stats().tls.client;
  t.same(handshakes, [], `SEED=${seed}`);
  const counted = Object.values(failures).reduce((sum, count) => sum + count, 0);
  t.equal(counted, 10 * rounds, JSON.stringify(failures));
  t.ok(Object.keys(failures).length > 2, JSON.stringify(failures));
  t.ok(await isServed(proxy));
});

for (const version of versions) {
  suiteTest(missing, `tls handshakes: byte by byte, ${version}`, timeout, async (t, suite) => {
    const proxy = await begin(t, suite);
    const meddler = await Meddler.before(t, proxy.port, true);
    const only = { minVersion: version, maxVersion: version };
    let session: Buffer | undefined;
    for (const isResumed of [false, true]) {
      const socket = await dial(meddler.port, { ...only, ...(session && { session }) });
      t.equal(socket.isSessionReused(), isResumed);
      // Tickets of TLS 1.2 are part of the handshake, those of TLS 1.3 come after it.
      if (version === 'TLSv1.2') session = socket.getSession();
      socket.on('session', (ticket: Buffer) => {
        session = ticket;
      });
      const sent = payload(1, 3000);
      const heard = everything(socket);
      socket.end(sent);
      t.ok((await heard).equals(sent));
    }
  });
}

suiteTest(missing, 'tls handshakes: one that takes too long', timeout, async (t, suite) => {
  const proxy = await begin(t, suite, { tls_handshake: '300ms' });
  const [hello] = recordedHellos().map(({ bytes }) => bytes);
  for (const bytes of [Buffer.alloc(0), hello!.subarray(0, 50)]) await say(proxy, bytes, false);
  const lines = await proxy.linesOf(2);
  for (const line of lines) t.match(line, { close: 'tls_timeout', tls: { failure: 'timeout' } });
});

suiteTest(missing, 'tls handshakes: 500 at once', timeout, async (t, suite) => {
  // The last of them waits for its turn longer than one by itself would.
  const proxy = await begin(t, suite, { tls_handshake: '30s' });
  const sockets = await Promise.all(Array.from({ length: 500 }, () => dial(proxy.port)));
  const answers = sockets.map(everything);
  for (const socket of sockets) socket.end('x');
  t.ok((await Promise.all(answers)).every((answer) => answer.toString() === 'x'));
  const lines = await proxy.linesOf(500);
  t.strictSame(new Set(lines.map(({ close }) => close)), new Set(['done']));
});
