// Sessions and keys of connections whose records a kernel has, against OpenSSL on the other side. The kernel is played.
import koffi from 'koffi';
import t from 'tap';
import { NativeMemory, Outcome } from '#src/splice/index.js';
import {
  type ClientContext,
  type DirectionKeys,
  loadOpenSsl,
  type OpenSsl,
  RecordType,
  TicketOutcome,
  type TlsTransport,
  TlsVersion,
  takeOver,
} from '#src/tls/index.js';
import { payload } from '#test/support/random.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import {
  type EmulationOptions,
  KernelTlsEmulation,
} from '#test/support/tls/kernel-tls-emulation.js';
import { pass } from '#test/support/tls/tls-message.js';
import { clientContext, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const { Tls12, Tls13 } = TlsVersion;
const memory = new NativeMemory(64 * 1024);
const EVENTS = 0x5;
const ticketKeys = [Buffer.alloc(80, 3)];
const updateKey = koffi.load(null).func('int SSL_key_update(uintptr_t, int)');
const SSL_KEY_UPDATE_REQUESTED = 1;

interface Ends {
  readonly client: TlsTransport;
  readonly server: TlsTransport;
  readonly emulation: KernelTlsEmulation;
  /** SSL of the server. */
  readonly ssl: number;
  readonly isResumed: boolean;
}

interface Options extends EmulationOptions {
  readonly version?: TlsVersion;
  readonly ciphersuites?: string;
}

/** A client whose records the kernel has, and a server that is OpenSSL's altogether. */
function connect(kit: SocketKit, context: ClientContext, options: Options = {}): Ends {
  const { version = Tls13, ciphersuites } = options;
  const contexts = serverContexts({
    ...{ minVersion: version, maxVersion: version, ticketKeys, kernel: 'off' },
    ...(ciphersuites && { ciphersuites }),
  });
  const emulation = new KernelTlsEmulation(options);
  const pair = new TlsPair(kit, contexts, context, { kernel: emulation.kernel });
  if (!pair.shake()) throw new Error(`no handshake: ${pair.client.detail} ${pair.server.detail}`);
  kit.disown(pair.near);
  kit.disown(pair.far);
  const { isResumed } = pair.client.session!;
  const { ssl } = pair.server;
  const client = takeOver(pair.client, 'require', options.canRenewKeys ?? false).transport!;
  const server = takeOver(pair.server, 'off', false).transport!;
  contexts.release();
  return { client, server, emulation, ssl, isResumed };
}

function close({ client, server }: Ends): void {
  client.close();
  server.close();
}

/** OpenSSL that counts what it made and what was freed. */
function counting(): { openssl: OpenSsl; left: Record<'ssl' | 'cipher', number> } {
  const real = loadOpenSsl();
  const left = { ssl: 0, cipher: 0 };
  const openssl: OpenSsl = {
    ...real,
    SSL_new: (context) => {
      left.ssl++;
      return real.SSL_new(context);
    },
    SSL_free: (ssl) => {
      left.ssl--;
      return real.SSL_free(ssl);
    },
    EVP_CIPHER_CTX_new: () => {
      left.cipher++;
      return real.EVP_CIPHER_CTX_new();
    },
    EVP_CIPHER_CTX_free: (context) => {
      left.cipher--;
      return real.EVP_CIPHER_CTX_free(context);
    },
  };
  return { openssl, left };
}

const ciphersuites = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
];

for (const suite of ciphersuites) {
  for (const messageBytesMax of [512, 20]) {
    socketTest(
      `kernel records: the next connection resumes, ${suite}, ${messageBytesMax} bytes at a time`,
      async (t, kit) => {
        const { openssl, left } = counting();
        const context = clientContext({}, { kernel: true }, openssl);
        for (const isResumed of [false, true, true]) {
          const ends = connect(kit, context, { ciphersuites: suite, messageBytesMax });
          t.equal(ends.isResumed, isResumed);
          t.same(left, { ssl: 1, cipher: 1 }, 'kept for the ticket');
          const bytes = payload(1, 50_000);
          t.ok(pass(ends.server, ends.client, bytes).equals(bytes));
          t.equal(ends.client.ticketOutcome, TicketOutcome.Kept);
          t.same(left, { ssl: 0, cipher: 0 }, 'and no longer');
          t.ok(pass(ends.client, ends.server, bytes).equals(bytes));
          close(ends);
        }
        context.release();
      },
    );
  }
}

socketTest('kernel records: TLS 1.2 resumes, too, whose ticket came before', async (t, kit) => {
  const context = clientContext({ maxVersion: Tls12 }, { kernel: true });
  for (const isResumed of [false, true, true]) {
    const ends = connect(kit, context, { version: Tls12 });
    t.equal(ends.isResumed, isResumed);
    t.equal(pass(ends.server, ends.client, Buffer.from('hello')).toString(), 'hello');
    t.equal(ends.client.ticketOutcome, TicketOutcome.NotAwaited);
    close(ends);
  }
  context.release();
});

socketTest('kernel records: one that OpenSSL refuses changes nothing else', async (t, kit) => {
  for (const [what, content] of [
    ['it ends in the middle', [4, 0, 0, 6, 1, 2, 3, 4, 5, 6]],
    ['nothing in it', [4, 0, 0, 0]],
    // A lifetime of 0: not to be used (RFC 8446 §4.6.1).
    ['a lifetime of 0', [4, 0, 0, 15, ...Array(8).fill(0), 1, 7, 0, 1, 9, 0, 0]],
  ] as const) {
    const { openssl, left } = counting();
    const context = clientContext({}, { kernel: true }, openssl);
    const ends = connect(kit, context);
    ends.emulation.inject(ends.client.fd, RecordType.Handshake, content);
    ends.client.notice(EVENTS);
    const first = ends.client.read(memory.address, 1);
    t.ok(first === Outcome.Blocked || first > 0, what);
    const bytes = payload(2, 30_000);
    t.ok(pass(ends.server, ends.client, bytes).equals(bytes), what);
    t.equal(openssl.ERR_peek_error(), 0, 'no error is left behind');
    close(ends);
    t.same(left, { ssl: 0, cipher: 0 });
    context.release();
  }
});

socketTest('kernel records: who gives none is waited for a while', async (t, kit) => {
  const { openssl, left } = counting();
  const context = clientContext({}, { kernel: true }, openssl);
  const contexts = serverContexts({ ticketKeys: [], kernel: 'off' });
  const real = loadOpenSsl();
  real.SSL_CTX_set_num_tickets(contexts.initial, 0);
  const emulation = new KernelTlsEmulation();
  const pair = new TlsPair(kit, contexts, context, { kernel: emulation.kernel });
  t.ok(pair.shake());
  kit.disown(pair.near);
  kit.disown(pair.far);
  const client = takeOver(pair.client, 'require', false).transport!;
  const server = takeOver(pair.server, 'off', false).transport!;
  for (let message = 0; message < 16; message++) {
    t.same(left, { ssl: 1, cipher: 1 });
    t.equal(pass(server, client, Buffer.from('x')).toString(), 'x');
  }
  t.same(left, { ssl: 0, cipher: 0 });
  t.equal(client.ticketOutcome, TicketOutcome.None);
  client.close();
  server.close();
  contexts.release();
  context.release();
});

socketTest('kernel records: a connection that is reset leaves nothing', async (t, kit) => {
  const { openssl, left } = counting();
  const context = clientContext({}, { kernel: true }, openssl);
  const ends = connect(kit, context);
  ends.client.reset();
  ends.server.reset();
  t.same(left, { ssl: 0, cipher: 0 });
  context.release();
  const again = connect(kit, clientContext({}, { kernel: true }, openssl));
  t.equal(again.isResumed, false);
  // The upstream is gone from the configuration before its ticket comes.
  t.equal(pass(again.server, again.client, Buffer.from('x')).toString(), 'x');
  close(again);
  t.same(left, { ssl: 0, cipher: 0 });
});

for (const suite of ciphersuites) {
  socketTest(`kernel records: OpenSSL changes its keys, ${suite}`, async (t, kit) => {
    const context = clientContext({}, { kernel: true });
    const options = { canRenewKeys: true, ciphersuites: suite };
    const ends = connect(kit, context, options);
    const { client, server, emulation } = ends;
    const bytes = payload(3, 40_000);
    for (const keys of [2, 4, 6]) {
      t.ok(pass(server, client, bytes).equals(bytes));
      t.ok(pass(client, server, bytes).equals(bytes));
      t.equal(emulation.keys, keys, 'both directions');
      t.equal(updateKey(ends.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    }
    close(ends);
    const next = connect(kit, context, options);
    t.equal(next.isResumed, true, 'the ticket came under the first key');
    close(next);
    context.release();
  });
}

/** A server whose records the kernel has, and a client that is OpenSSL's altogether. */
function connectServer(kit: SocketKit, suite: string): Ends {
  const contexts = serverContexts({ ciphersuites: suite, ticketKeys }, { kernel: true });
  const context = clientContext({ minVersion: Tls13 });
  const emulation = new KernelTlsEmulation({ canRenewKeys: true });
  const pair = new TlsPair(kit, contexts, context, { kernel: emulation.kernel });
  if (!pair.shake()) throw new Error('no handshake');
  kit.disown(pair.near);
  kit.disown(pair.far);
  const { ssl } = pair.client;
  const server = takeOver(pair.server, 'require', true).transport!;
  const client = takeOver(pair.client, 'off', false).transport!;
  contexts.release();
  context.release();
  return { client, server, emulation, ssl, isResumed: false };
}

for (const suite of ciphersuites) {
  socketTest(`kernel records: a client changes its keys, ${suite}`, async (t, kit) => {
    const ends = connectServer(kit, suite);
    const { client, server, emulation } = ends;
    const bytes = payload(4, 40_000);
    for (const keys of [2, 4, 6]) {
      t.ok(pass(client, server, bytes).equals(bytes));
      t.ok(pass(server, client, bytes).equals(bytes));
      t.equal(emulation.keys, keys, 'both directions');
      t.equal(updateKey(ends.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    }
    close(ends);
  });
}

socketTest('kernel records: OpenSSL follows when our key has served its time', async (t, kit) => {
  const ends = connectServer(kit, ciphersuites[0]!);
  const { client, server, emulation } = ends;
  const { writer } = server as unknown as { writer: { keys: DirectionKeys } };
  const bytes = payload(5, 20_000);
  for (const keys of [3, 4]) {
    writer.keys.recordsLeft = 0;
    t.ok(pass(server, client, bytes).equals(bytes));
    t.ok(pass(client, server, bytes).equals(bytes));
    t.equal(emulation.keys, keys, 'one direction');
  }
  close(ends);
});

t.test('kernel records: every outcome has its name', async (t) => {
  const { ticketOutcomes } = await import('#src/tls/index.js');
  const snake = (name: string): string => name.replace(/(?<=.)[A-Z]/g, '_$&').toLowerCase();
  t.same(Object.keys(TicketOutcome).map(snake), ticketOutcomes);
});
