// Peers that send handshake messages without end inside an established connection.
import koffi from 'koffi';
import { NativeMemory, Outcome } from '#src/splice/index.js';
import {
  loadOpenSsl,
  RecordType,
  sendRecord,
  TlsEnding,
  TlsVersion,
  takeOver,
  type UserlandTlsTransport,
} from '#src/tls/index.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { KernelTlsEmulation } from '#test/support/tls/kernel-tls-emulation.js';
import { clientContext, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const openssl = loadOpenSsl();
const updateKey = koffi.load(null).func('int SSL_key_update(uintptr_t, int)');
const memory = new NativeMemory(65536);
const FLOOD = 8000;
/** OpenSSL reads so much at a time. */
const READ_BYTES_MAX = 100_000;

function connect(kit: SocketKit) {
  const contexts = serverContexts({ ticketKeys: [Buffer.alloc(80, 1)] });
  const context = clientContext();
  const pair = new TlsPair(kit, contexts, context);
  if (!pair.shake()) throw new Error('no handshake');
  const { ssl } = pair.client;
  const bio = openssl.SSL_get_rbio(pair.server.ssl);
  const { server, client } = pair.takeOver();
  client.notice(1);
  client.read(memory.address, 1);
  contexts.release();
  context.release();
  /** The client sends KeyUpdates: OpenSSL does, when asked to go on. */
  const update = (count: number, request: 0 | 1): void => {
    for (let sent = 0; sent < count; sent++) {
      if (updateKey(ssl, request) !== 1 || openssl.SSL_do_handshake(ssl) !== 1) {
        throw new Error('no KeyUpdate');
      }
    }
  };
  return { server, client, update, bytesRead: () => openssl.BIO_number_read(bio) };
}

function ends(reader: UserlandTlsTransport): number {
  reader.notice(1);
  return reader.read(memory.address, memory.byteLength);
}

for (const request of [0, 1] as const) {
  const what = request === 1 ? 'that want an answer' : 'that want none';
  socketTest(`message flood: KeyUpdates ${what}`, async (t, kit) => {
    const { server, client, update, bytesRead } = connect(kit);
    const before = bytesRead();
    update(FLOOD, request);
    t.equal(ends(server), Outcome.Failed);
    t.ok(bytesRead() - before < READ_BYTES_MAX, 'it is not all read in one go');
    t.equal(server.ending, TlsEnding.UnexpectedMessage);
    t.equal(server.failure, 'unexpected_message');
    t.equal(ends(server), Outcome.Failed, 'and so it stays');
    t.equal(server.write(memory.address, 1), Outcome.Failed);
    t.equal(openssl.ERR_peek_error(), 0);
    server.close();
    client.close();
  });

  socketTest(`message flood: a few KeyUpdates ${what} are well`, async (t, kit) => {
    const { server, client, update } = connect(kit);
    for (let round = 0; round < 20; round++) {
      update(1, request);
      t.equal(client.write(memory.address, 1000), 1000);
      t.equal(ends(server), 1000);
      t.equal(server.write(memory.address, 1000), 1000);
      t.equal(ends(client), 1000);
    }
    t.equal(server.ending, TlsEnding.None);
    client.close();
    server.close();
  });
}

socketTest('message flood: data between them is no excuse, unless it is much', async (t, kit) => {
  const { server, client, update } = connect(kit);
  let rounds = 0;
  for (; rounds < 100; rounds++) {
    update(4, 0);
    client.write(memory.address, 1);
    if (ends(server) < 0) break;
  }
  t.ok(rounds > 10 && rounds < 20, `${rounds} rounds`);
  server.close();
  client.close();
  const other = connect(kit);
  for (let round = 0; round < 60; round++) {
    other.update(4, 0);
    for (let got = 0, sent = 0; got < 300_000; ) {
      if (sent < 300_000) {
        other.client.notice(4);
        sent += Math.max(0, other.client.write(memory.address, Math.min(65536, 300_000 - sent)));
      }
      const read = ends(other.server);
      if (read > 0) got += read;
      else if (read === Outcome.Blocked) pause(1);
      else throw new Error(`${round}: ${other.server.ending}`);
    }
  }
  t.equal(other.server.ending, TlsEnding.None);
  other.server.close();
  other.client.close();
});

socketTest('message flood: records of a byte are not all read in one go', async (t, kit) => {
  const { server, client } = connect(kit);
  for (let sent = 0; sent < 1000; sent++) {
    memory.bytes[0] = sent & 255;
    client.write(memory.address, 1);
  }
  pause(1);
  server.notice(1);
  let [got, most, isSame] = [0, 0, true];
  while (got < 1000) {
    const read = server.read(memory.address, memory.byteLength);
    if (read === Outcome.Blocked || !server.readable) {
      // So many small segments do not fit a socket.
      pause(1);
      server.notice(1);
    }
    if (read === Outcome.Blocked) continue;
    most = Math.max(most, read);
    isSame &&= memory.bytes[0] === (got & 255);
    got += read;
  }
  t.equal(most, 64);
  t.ok(isSame);
  server.close();
  client.close();
});

socketTest('message flood: one connection does not count for another', async (t, kit) => {
  const all = Array.from({ length: 40 }, () => connect(kit));
  for (const { server, client, update } of all) {
    update(4, 1);
    client.write(memory.address, 10);
    t.equal(ends(server), 10);
    t.equal(server.shutdownWrite(), 0);
    t.equal(ends(client), Outcome.Eof);
    client.write(memory.address, 10);
    t.equal(ends(server), 10, 'after our own end');
  }
  for (const { server, client } of all) {
    client.close();
    server.close();
  }
});

/** The peer's records are made by hand, and it has the keys for that. */
for (const [what, version, isServer, content] of [
  ['ClientHellos, TLS 1.2', TlsVersion.Tls12, true, [1, 0, 0, 4, 3, 3, 0, 0]],
  ['HelloRequests, TLS 1.2', TlsVersion.Tls12, false, [0, 0, 0, 0]],
  [
    'session tickets, TLS 1.3',
    TlsVersion.Tls13,
    false,
    [4, 0, 0, 15, 0, 0, 0, 9, 0, 0, 0, 0, 1, 7, 0, 1, 9, 0, 0],
  ],
] as const) {
  socketTest(`message flood: ${what}`, async (t, kit) => {
    const only = { minVersion: version, maxVersion: version };
    const contexts = serverContexts({ ...only, ticketKeys: [] }, { kernel: !isServer });
    const context = clientContext(only, { kernel: isServer });
    const { kernel } = new KernelTlsEmulation();
    const pair = new TlsPair(kit, contexts, context, { kernel });
    t.ok(pair.shake());
    kit.disown(pair.near);
    kit.disown(pair.far);
    const [mine, theirs] = isServer ? [pair.server, pair.client] : [pair.client, pair.server];
    const bio = openssl.SSL_get_rbio(mine.ssl);
    const reader = takeOver(mine, 'off', false).transport as UserlandTlsTransport;
    const peer = takeOver(theirs, 'require', false).transport!;
    contexts.release();
    context.release();
    const before = openssl.BIO_number_read(bio);
    let sent = 0;
    for (; sent < FLOOD; sent++) {
      const result = sendRecord(kernel, peer.fd, RecordType.Handshake, content);
      if (result < 0) break;
    }
    t.ok(sent > 2000, `${sent} messages`);
    t.equal(ends(reader), Outcome.Failed);
    t.ok(openssl.BIO_number_read(bio) - before < READ_BYTES_MAX);
    t.not(reader.ending, TlsEnding.None);
    reader.close();
    peer.reset();
    t.equal(openssl.ERR_peek_error(), 0);
  });
}

socketTest('KeyUpdates while a record of ours waits for room are followed', async (t, kit) => {
  const { server, client, update } = connect(kit);
  for (const requests of [[1], [0, 0, 0]] as const) {
    let sent = 0;
    server.notice(4);
    for (let taken = 0; taken >= 0; taken = server.write(memory.address, 16384)) sent += taken;
    for (const request of requests) {
      update(1, request);
      t.equal(client.write(memory.address, 100), 100);
      let read = ends(server);
      for (; read === Outcome.Blocked; read = ends(server)) pause(1);
      t.equal(read, 100, 'it is read on');
    }
    let [got, rest] = [0, Outcome.Blocked as number];
    while (got < sent || rest === Outcome.Blocked) {
      const read = ends(client);
      if (read > 0) got += read;
      else if (read !== Outcome.Blocked) throw new Error(`the client: ${client.failure}`);
      server.notice(4);
      if (rest !== Outcome.Blocked) continue;
      rest = server.write(memory.address, 16384);
      if (rest === Outcome.Failed) throw new Error(`the server: ${server.failure}`);
    }
    for (; got < sent + rest; pause(1)) got += Math.max(0, ends(client));
    t.equal(got, sent + rest, 'all arrives');
  }
  t.equal(server.ending, TlsEnding.None);
  server.close();
  client.close();
});
