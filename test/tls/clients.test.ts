import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import t from 'tap';
import { TlsVersion } from '#src/tls/index.js';
import { missingProgram, testWith } from '#test/support/capability.js';
import { sleep, within } from '#test/support/deadline.js';
import { OpensslClient } from '#test/support/openssl-client.js';
import { payload } from '#test/support/random.js';
import { authority, certificate, dial, everything, kit } from '#test/support/tls-kit.js';
import { isKernelExpected, plainSettings, TlsServer } from '#test/support/tls-server.js';

const timeout = 30_000;
const certificates = [certificate(['a.test']), certificate(['a.test'], 'rsa:2048')];
const settings = { ...plainSettings, certificates, ticketKeys: [randomBytes(80), randomBytes(80)] };
const versions = { 'TLSv1.2': TlsVersion.Tls12, 'TLSv1.3': TlsVersion.Tls13 } as const;

for (const [version, number] of Object.entries(versions)) {
  const flag = version.replace('v', '').replace('.', '_').toLowerCase();

  testWith(
    missingProgram(['openssl']),
    `clients: openssl s_client, ${version}`,
    { timeout },
    async (t) => {
      const server = await TlsServer.start(t, settings);
      const client = new OpensslClient(t, server.port, `-${flag}`);
      await client.says(/Verify return code: 0 \(ok\)/);
      client.write('first line\n');
      await client.says(/^first line$/m);
      // What kernels make of it: test/ktls.
      if (number === TlsVersion.Tls13 && !isKernelExpected) {
        for (const update of ['K', 'k']) {
          client.write(`${update}\n`);
          await client.says(/KEYUPDATE/);
          await sleep(20);
          client.write(`after ${update}\n`);
          await client.says(new RegExp(`^after ${update}$`, 'm'));
        }
      }
      t.equal((await server.next('done')).session.version, number);
      t.match(client.output, /Compression: NONE/);
      client.write('Q\n');
      await client.end();
      const { how, isTruncated } = await server.next('ended');
      t.same([how, isTruncated], ['end', false]);
    },
  );

  testWith(
    missingProgram(['openssl']),
    `clients: openssl s_client resumes its session, ${version}`,
    { timeout },
    async (t) => {
      const server = await TlsServer.start(t, settings);
      const file = kit.path(`session-${version}`);
      for (const [option, isResumed] of [
        ['-sess_out', false],
        ['-sess_in', true],
      ] as const) {
        const client = new OpensslClient(t, server.port, `-${flag}`, option, file);
        client.write('hello\n');
        await client.says(/^hello$/m);
        client.write('Q\n');
        await client.end();
        t.equal((await server.next('done')).session.isResumed, isResumed);
        if (number === TlsVersion.Tls13) t.match(client.output, /Max Early Data: 0/);
      }
    },
  );

  testWith(missingProgram(['curl']), `clients: curl, ${version}`, { timeout }, async (t) => {
    // curl takes HTTP/0.9: what comes is the body.
    const greeting = 5_000_000;
    const server = await TlsServer.start(t, settings, { greeting });
    authority();
    const port = server.port;
    const args = [
      ...['-sS', '--http0.9', `--tlsv${version.slice(4)}`, '--tls-max', version.slice(4)],
      ...['--cacert', kit.path('authority.pem'), '--resolve', `a.test:${port}:127.0.0.1`],
      `https://a.test:${port}/`,
    ];
    const options = { encoding: 'buffer', maxBuffer: 2 * greeting } as const;
    const { stdout } = await within(20_000, 'curl', promisify(execFile)('curl', args, options));
    t.equal(stdout.length, greeting);
    t.ok(stdout.every((byte, at) => byte === at % 251));
    t.equal((await server.next('done')).session.serverName, 'a.test');
  });

  t.test(`clients: Node reads slowly, ${version}`, { timeout }, async (t) => {
    const greeting = 8 << 20;
    const server = await TlsServer.start(t, settings, { greeting });
    const socket = await dial(server.port, {
      minVersion: version as never,
      maxVersion: version as never,
    });
    let length = 0;
    let wrong = 0;
    for await (const chunk of socket) {
      for (const byte of chunk as Buffer) if (byte !== length++ % 251) wrong++;
      if (length % 3 === 0) await sleep(1);
    }
    t.equal(wrong, 0);
    t.equal(length, greeting, 'to the last byte, and an end');
    t.equal((await server.next('ended')).isTruncated, false);
  });

  t.test(`clients: both directions at once, ${version}`, { timeout }, async (t) => {
    const server = await TlsServer.start(t, settings);
    const sockets = await Promise.all(
      Array.from({ length: 20 }, () =>
        dial(server.port, { minVersion: version as never, maxVersion: version as never }),
      ),
    );
    const answers = await Promise.all(
      sockets.map(async (socket, index) => {
        const sent = payload(index, 300_000 + 1000 * index);
        const received = everything(socket);
        for (let at = 0; at < sent.length; at += 7001 * (index + 1)) {
          if (!socket.write(sent.subarray(at, at + 7001 * (index + 1)))) {
            await within(10_000, 'there is room', once(socket, 'drain'));
          }
        }
        socket.end();
        return (await received).equals(sent);
      }),
    );
    t.same(
      answers,
      answers.map(() => true),
    );
  });
}

testWith(
  missingProgram(['openssl']),
  'clients: renegotiation is refused',
  { timeout },
  async (t) => {
    const server = await TlsServer.start(t, settings);
    const client = new OpensslClient(t, server.port, '-tls1_2');
    client.write('before\n');
    await client.says(/^before$/m);
    client.write('R\n');
    await client.says(/RENEGOTIATING[\s\S]*no renegotiation/i);
    await server.next('ended');
    const other = await dial(server.port);
    other.end('the server goes on');
    t.equal((await everything(other)).toString(), 'the server goes on');
  },
);

t.test('clients: a client that just stops is told apart', { timeout }, async (t) => {
  const server = await TlsServer.start(t, settings);
  const socket = await dial(server.port);
  socket.write('half a');
  await within(5000, 'the echo', once(socket, 'data'));
  // Unlike end(), it says no close_notify.
  socket.destroy();
  const { how, isTruncated } = await server.next('ended');
  t.same([how, isTruncated], ['end', true]);
});

t.test('clients: a handshake that takes too long', { timeout }, async (t) => {
  const server = await TlsServer.start(t, settings, { timeoutMs: 100 });
  const socket = connect(server.port, '127.0.0.1');
  await within(5000, 'the server gives up', once(socket.resume(), 'close'));
  t.equal((await server.next('failed')).failure, 'timeout');
});

t.test('clients: 500 handshakes at once', { timeout }, async (t) => {
  const server = await TlsServer.start(t, { ...settings, certificates: [certificate(['a.test'])] });
  const sockets = await Promise.all(Array.from({ length: 500 }, () => dial(server.port)));
  for (const socket of sockets) socket.end('x');
  const answers = await Promise.all(sockets.map(everything));
  t.ok(answers.every((answer) => answer.toString() === 'x'));
});
