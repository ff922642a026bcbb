// OpenSSL that has no memory for what it is asked: the connection fails, or does without, and nothing else happens.
import { NativeMemory, Outcome } from '#src/splice/index.js';
import {
  Handshake,
  HandshakeResult,
  kernelCiphers,
  loadOpenSsl,
  type OpenSsl,
  RecordSealer,
  TicketOutcome,
  TlsError,
  takeOver,
} from '#src/tls/index.js';
import { pause, socketTest } from '#test/support/sockets/socket-kit.js';
import { KernelTlsEmulation } from '#test/support/tls/kernel-tls-emulation.js';
import { clientContext, room, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const real = loadOpenSsl();
const memory = new NativeMemory(1024);
const { Failed } = HandshakeResult;

/** A table whose call says, from some time on, that there is no memory. */
function failing(name: keyof OpenSsl, failure = 0): { openssl: OpenSsl; isShort: boolean } {
  const table = {
    isShort: false,
    openssl: {
      ...real,
      [name]: (...args: never[]) =>
        table.isShort ? failure : (real[name] as (...args: never[]) => number)(...args),
    } as OpenSsl,
  };
  return table;
}

/** Counts who holds the context. */
function freed(openssl: OpenSsl): { openssl: OpenSsl; contexts: number; connections: number } {
  const count = {
    contexts: 0,
    connections: 0,
    openssl: {
      ...openssl,
      SSL_CTX_free: (context: number) => {
        count.contexts++;
        return real.SSL_CTX_free(context);
      },
      SSL_free: (ssl: number) => {
        count.connections++;
        return real.SSL_free(ssl);
      },
    } as OpenSsl,
  };
  return count;
}

for (const [call, connections] of [
  ['SSL_new', 0],
  ['SSL_set_fd', 1],
] as const) {
  socketTest(`out of memory: ${call}, of a server`, async (t, kit) => {
    const table = failing(call);
    const count = freed(table.openssl);
    const context = clientContext();
    const contexts = serverContexts({}, { kernel: false }, count.openssl);
    const pair = new TlsPair(kit, contexts, context);
    table.isShort = true;
    t.notOk(pair.shake());
    t.equal(pair.server.failure, 'internal_error');
    t.ok(pair.client.failure);
    contexts.release();
    t.equal(count.contexts, 1, 'nobody holds the context');
    t.equal(count.connections, connections);
    t.equal(real.ERR_peek_error(), 0);
    context.release();
  });

  socketTest(`out of memory: ${call}, of a client`, async (t, kit) => {
    const table = failing(call);
    const count = freed(table.openssl);
    const context = clientContext({}, { kernel: false }, count.openssl);
    table.isShort = true;
    const { near } = kit.pair();
    const client = Handshake.connect(room, context, near, true, '127.0.0.1', 'x');
    t.equal(client.advance(0), Failed);
    t.equal(client.failure, 'internal_error');
    context.release();
    t.equal(count.contexts, 1);
    t.equal(count.connections, connections);
  });
}

socketTest('out of memory: nothing to make a session of a ticket with', async (t, kit) => {
  for (const call of ['EVP_CIPHER_CTX_new', 'BIO_new', 'BIO_write'] as const) {
    const table = failing(call);
    const context = clientContext({}, { kernel: true }, table.openssl);
    const contexts = serverContexts({ ticketKeys: [Buffer.alloc(80, 1)], kernel: 'off' });
    const { kernel } = new KernelTlsEmulation();
    const pair = new TlsPair(kit, contexts, context, { kernel });
    t.ok(pair.shake());
    kit.disown(pair.near);
    kit.disown(pair.far);
    table.isShort = true;
    const client = takeOver(pair.client, 'require', false).transport!;
    const server = takeOver(pair.server, 'off', false).transport!;
    t.equal(server.write(memory.address, 3), 3, call);
    let result: number = Outcome.Blocked;
    for (let turn = 0; turn < 1000 && result === Outcome.Blocked; turn++) {
      client.notice(1);
      result = client.read(memory.address, 100);
      if (result === Outcome.Blocked) pause(1);
    }
    t.equal(result, 3, 'the connection does not mind');
    t.not(client.ticketOutcome, TicketOutcome.Kept);
    client.close();
    server.close();
    t.equal(real.ERR_peek_error(), 0);
    contexts.release();
    context.release();
  }
});

socketTest('out of memory: contexts say so', async (t) => {
  for (const call of ['SSL_CTX_new', 'BIO_new_mem_buf'] as const) {
    const table = failing(call);
    table.isShort = true;
    t.throws(() => serverContexts({}, { kernel: false }, table.openssl), TlsError, call);
    t.throws(() => clientContext({}, { kernel: false }, table.openssl), TlsError, call);
  }
  const table = failing('EVP_CIPHER_CTX_new');
  table.isShort = true;
  const key = { key: Buffer.alloc(16, 1), iv: Buffer.alloc(12, 1) };
  const cipher = kernelCiphers.aes128Gcm;
  t.equal(RecordSealer.open(table.openssl, cipher, key), undefined);
  t.ok(
    key.key.every((byte) => byte === 0),
    'the key is overwritten',
  );
});
