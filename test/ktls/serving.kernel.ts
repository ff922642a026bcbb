import { spawn } from 'node:child_process';
import t, { type Test } from 'tap';
import { KernelTlsRefusal, TlsVersion } from '#src/tls/index.js';
import { findProgram, missingProgram, testWith } from '#test/support/capability.js';
import { payload } from '#test/support/random.js';
import { certificate, dial, everything } from '#test/support/tls-kit.js';
import { tlsStat } from '#test/support/tls-machine.js';
import { canRenewKeys, plainSettings, TlsServer } from '#test/support/tls-server.js';

const timeout = 30_000;
const certificates = [certificate(['a.test']), certificate(['a.test'], 'rsa:2048')];
const ticketKeys = [Buffer.alloc(80, 3)];
const settings = { ...plainSettings, certificates, ticketKeys };

/** What to ask Node's client for, and what comes of it. */
const suites = [
  ['TLSv1.3', 'TLS_AES_128_GCM_SHA256'],
  ['TLSv1.3', 'TLS_AES_256_GCM_SHA384'],
  ['TLSv1.3', 'TLS_CHACHA20_POLY1305_SHA256'],
  ['TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['TLSv1.2', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ['TLSv1.2', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
] as const;

for (const [version, ciphers] of suites) {
  t.test(`serving in the kernel: ${ciphers}, full and resumed`, { timeout }, async (t) => {
    const before = tlsStat();
    const server = await TlsServer.start(t, settings);
    const options = { minVersion: version, maxVersion: version, ciphers } as const;
    let session: Buffer | undefined;
    for (const length of [1, 16_385, 3_000_000]) {
      const socket = await dial(server.port, { ...options, session });
      t.equal(socket.isSessionReused(), session !== undefined);
      // In TLS 1.3 the ticket has come after the handshake.
      socket.once('end', () => {
        session ??= socket.getSession();
      });
      const sent = payload(length, length);
      socket.end(sent);
      const received = everything(socket);
      t.ok((await received).equals(sent), `${length} bytes come back as they went`);
      const done = await server.next('done');
      t.same([done.tx, done.rx], [KernelTlsRefusal.None, KernelTlsRefusal.None]);
      t.equal(done.session.isResumed, length !== 1);
      t.equal(done.ticketRecords, version === 'TLSv1.3' ? 1 : 0);
      t.match(await server.next('ended'), { how: 'end', isTruncated: false });
    }
    const after = tlsStat();
    t.equal(after.TlsTxSw! - before.TlsTxSw!, 3, 'each of them in the kernel');
    t.equal(after.TlsRxSw! - before.TlsRxSw!, 3);
    t.equal(after.TlsDecryptError, before.TlsDecryptError);
  });
}

t.test('serving in the kernel: both directions at once', { timeout }, async (t) => {
  const server = await TlsServer.start(t, settings);
  const sent = payload(1, 12_000_000);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const sockets = await Promise.all(
      [1, 2, 3].map(() => dial(server.port, { minVersion: version, maxVersion: version })),
    );
    const received = sockets.map((socket) => {
      socket.end(sent);
      return everything(socket);
    });
    for (const bytes of await Promise.all(received)) t.ok(bytes.equals(sent));
  }
});

t.test('serving in the kernel: the server speaks first, and ends first', { timeout }, async (t) => {
  const greeting = 1_000_000;
  const server = await TlsServer.start(t, settings, { greeting });
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await dial(server.port, {
      minVersion: version,
      maxVersion: version,
      allowHalfOpen: true,
    } as object);
    const bytes = await everything(socket);
    t.equal(bytes.length, greeting);
    t.ok(bytes.every((byte, at) => byte === at % 251));
    socket.end();
    t.match(await server.next('ended'), { how: 'end' });
  }
});

t.test('serving in the kernel: a client that is cut off is truncated', { timeout }, async (t) => {
  const server = await TlsServer.start(t, settings);
  const socket = await dial(server.port);
  socket.write('half a');
  await server.next('done');
  const raw = (socket as unknown as { _parent?: import('node:net').Socket })._parent;
  // Node closes the connection under TLS without a word of TLS.
  (raw ?? socket).destroy();
  const ended = await server.next('ended');
  t.ok(ended.isTruncated || ended.how !== 'end', JSON.stringify(ended));
});

t.test(
  'serving in the kernel: off is off, and what it cannot do has a name',
  { timeout },
  async (t) => {
    const off = await TlsServer.start(t, { ...settings, kernel: 'off' }, { kernel: true });
    const open = await dial(off.port);
    open.end('in userland');
    t.equal((await everything(open)).toString(), 'in userland');
    const { Off, Cipher } = KernelTlsRefusal;
    t.match(await off.next('done'), { tx: Off, rx: Off });

    const cbc = 'ECDHE-RSA-AES128-SHA256';
    const auto = await TlsServer.start(t, {
      ...settings,
      kernel: 'auto',
      maxVersion: TlsVersion.Tls12,
      ciphers: cbc,
    });
    const socket = await dial(auto.port, { ciphers: cbc, maxVersion: 'TLSv1.2' });
    socket.end('in userland');
    t.equal((await everything(socket)).toString(), 'in userland');
    t.match(await auto.next('done'), { tx: Cipher, rx: Cipher });

    const required = await TlsServer.start(t, {
      ...settings,
      kernel: 'require',
      maxVersion: TlsVersion.Tls12,
      ciphers: cbc,
    });
    const refused = await dial(required.port, { ciphers: cbc, maxVersion: 'TLSv1.2' });
    refused.on('error', () => {});
    t.match(await required.next('failed'), {
      failure: 'kernel_tls_unavailable',
      detail: 'send: cipher, receive: cipher',
    });
  },
);

/** `openssl s_client`, to which single letters on a line are commands. */
function sClient(t: Test, port: number) {
  const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'a.test', '-tls1_3'];
  const child = spawn(findProgram('openssl')!, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  // It may have ended before it is told everything.
  child.stdin.on('error', () => {});
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('latin1');
    });
  }
  return {
    say: (line: string) => child.stdin.write(line),
    seen: async (pattern: RegExp) => {
      for (let attempt = 0; attempt < 500 && !pattern.test(output); attempt++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      t.match(output, pattern);
    },
  };
}

for (const [letter, what] of [
  ['k', 'a KeyUpdate'],
  ['K', 'a KeyUpdate that asks for one'],
] as const) {
  testWith(
    missingProgram(['openssl']),
    `serving in the kernel: ${what} is followed, or before Linux 6.14 ends the connection in good order`,
    { timeout },
    async (t) => {
      const server = await TlsServer.start(t, settings);
      const client = sClient(t, server.port);
      await server.next('done');
      client.say('hello\n');
      await client.seen(/^hello$/m);
      client.say(`${letter}\n`);
      await client.seen(/KEYUPDATE/);
      client.say('anybody?\n');
      if (canRenewKeys) {
        await client.seen(/^anybody\?$/m);
        return;
      }
      t.match(await server.next('ended'), {
        how: 'read failed',
        isTruncated: false,
        failure: 'key_update',
      });
      await client.seen(/alert internal error|alert number 80/);
    },
  );
}
