import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import t, { type Test } from 'tap';
import { NativeMemory, Outcome, openConnection, orThrow, Sockaddr } from '#src/splice/index.js';
import {
  type ClientContext,
  Handshake,
  HandshakeResult,
  TlsVersion,
  type UserlandTlsTransport,
} from '#src/tls/index.js';
import { sleep, within } from '#test/support/deadline.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { payload } from '#test/support/random.js';
import { authority, certificate } from '#test/support/tls/tls-kit.js';
import { clientContext, room } from '#test/support/tls/tls-pair.js';

const timeout = 20_000;
const memory = new NativeMemory(65536);
const own = certificate(['a.test']);

/** A server by Node that echoes. @returns its port, and what it sees of each connection */
async function serve(
  t: Test,
  options: TlsOptions = {},
  onSocket?: (socket: TLSSocket) => void,
): Promise<number> {
  const server = createServer({ cert: own.chain, key: own.key, ...options }, (socket) => {
    socket.on('error', () => {});
    if (onSocket === undefined) socket.pipe(socket);
    else onSocket(socket);
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await within(5000, 'the server listens', once(server, 'listening'));
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Shakes hands with a server on this thread, which needs its turns, too. */
async function dialOut(
  context: ClientContext,
  port: number,
  host = '127.0.0.1',
): Promise<Handshake> {
  const sockaddr = new Sockaddr({ family: 'inet', host: '127.0.0.1', port });
  const fd = orThrow(openConnection(room.kernel, sockaddr), 'connect');
  await sleep(1);
  const handshake = Handshake.connect(room, context, fd, true, host, `127.0.0.1:${port}`);
  for (let turn = 0; turn < 2000; turn++) {
    const result = handshake.advance(0);
    if (result === HandshakeResult.Failed) room.kernel.close(fd);
    if (result !== HandshakeResult.Waiting) return handshake;
    await sleep(1);
  }
  throw new Error('no end of the handshake');
}

/** Sends, says that it was all, and reads to the end. */
async function talk(transport: UserlandTlsTransport, sent: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let turn = 0; turn < 10_000; turn++) {
    if (at < sent.length) {
      const length = sent.copy(memory.bytes, 0, at);
      const written = transport.write(memory.address, length);
      if (written > 0) at += written;
      if (at === sent.length) transport.shutdownWrite();
    }
    const read = transport.read(memory.address, memory.byteLength);
    if (read > 0) chunks.push(Buffer.from(memory.bytes.subarray(0, read)));
    else if (read !== Outcome.Blocked) break;
    else await sleep(0);
    transport.notice(5);
  }
  return Buffer.concat(chunks);
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`upstreams: bytes and sessions, ${version}`, { timeout }, async (t) => {
    const before = descriptors();
    const port = await serve(t, { maxVersion: version, ALPNProtocols: ['two', 'three'] });
    const context = clientContext({ alpn: ['one', 'two'] });
    for (const isResumed of [false, true, true]) {
      const handshake = await dialOut(context, port);
      t.equal(handshake.failure, undefined);
      t.match(handshake.session, {
        ...{ isResumed, alpn: 'two', serverName: 'a.test' },
        version: version === 'TLSv1.2' ? TlsVersion.Tls12 : TlsVersion.Tls13,
      });
      const transport = handshake.takeOver();
      const sent = payload(1, 500_000);
      t.ok((await talk(transport, sent)).equals(sent));
      t.equal(transport.isTruncated, false);
      transport.close();
    }
    context.release();
    await sleep(20);
    t.equal(descriptors().socket, (before.socket ?? 0) + 1, 'the listener’s, and no other');
  });

  t.test(`upstreams: one that wants a certificate, ${version}`, { timeout }, async (t) => {
    const port = await serve(t, {
      maxVersion: version,
      requestCert: true,
      ca: authority(),
    });
    const context = clientContext({ certificate: certificate(['proxy.test']) });
    const handshake = await dialOut(context, port);
    t.equal(handshake.failure, undefined);
    const transport = handshake.takeOver();
    t.equal((await talk(transport, Buffer.from('hello'))).toString(), 'hello');
    transport.close();
    context.release();

    const without = clientContext({});
    const refused = await dialOut(without, port);
    if (version === 'TLSv1.2') {
      t.match(refused.failure, /^alert_received:|^reset$|^eof$/);
    } else {
      // The server looks at the certificate when the client is already done.
      const transport = refused.takeOver();
      t.equal((await talk(transport, Buffer.from('hello'))).length, 0);
      t.match(transport.failure, /^alert_received:certificate_required$|undefined/);
      transport.close();
    }
    without.release();
  });
}

t.test('upstreams: without a configured name, the one that led there is asked for', async (t) => {
  const asked: unknown[] = [];
  const two = certificate(['a.test', 'b.test']);
  const port = await serve(t, { cert: two.chain, key: two.key }, (socket) => {
    asked.push((socket as TLSSocket & { servername: unknown }).servername);
    socket.pipe(socket);
  });
  const trusting = clientContext({ serverName: undefined });
  const blind = clientContext({ serverName: undefined, verify: false });
  const long = `${'a'.repeat(255)}.test`;
  for (const [context, host, serverName, isResumed] of [
    [trusting, 'a.test', 'a.test', false],
    [trusting, 'a.test', 'a.test', true],
    // The same server, and nothing was seen of its certificate for this name.
    [trusting, 'b.test', 'b.test', false],
    [trusting, 'b.test', 'b.test', true],
    [blind, 'b.test', 'b.test', false],
    [blind, '127.0.0.1', undefined, false],
    [blind, '::1', undefined, false],
    [blind, '', undefined, false],
    [blind, long, undefined, false],
    [blind, 'a.test', 'a.test', false],
  ] as const) {
    const handshake = await dialOut(context, port, host);
    t.equal(handshake.failure, undefined, host);
    t.match(handshake.session, { serverName, isResumed }, host);
    const transport = handshake.takeOver();
    t.equal((await talk(transport, Buffer.from('hello'))).toString(), 'hello');
    transport.close();
    t.equal(asked.pop(), serverName ?? false, 'as the server heard it');
  }
  for (const [context, host] of [
    [trusting, 'c.test'],
    [trusting, '127.0.0.1'],
    [trusting, ''],
  ] as const) {
    const { failure } = await dialOut(context, port, host);
    t.equal(failure, 'verify_failed:name_mismatch', host);
  }
  trusting.release();
  blind.release();
});

t.test('upstreams: one whose certificate is not right', { timeout }, async (t) => {
  const expired = certificate(['a.test'], 'ec:P-256', -1);
  for (const [options, settings, failure] of [
    [{}, { serverName: 'b.test' }, 'verify_failed:name_mismatch'],
    [{ cert: expired.chain, key: expired.key }, {}, 'verify_failed:expired'],
    [{}, { ca: certificate(['other.test']).chain }, 'verify_failed:unknown_issuer'],
    [
      { maxVersion: 'TLSv1.2' },
      { minVersion: TlsVersion.Tls13 },
      'alert_received:protocol_version',
    ],
  ] as const) {
    const port = await serve(t, options as TlsOptions);
    const context = clientContext(settings);
    const handshake = await dialOut(context, port);
    t.equal(handshake.failure, failure);
    context.release();
  }
});

t.test('upstreams: one that speaks no TLS', { timeout }, async (t) => {
  const { createServer } = await import('node:net');
  for (const [says, failure] of [
    ['SSH-2.0-x\r\n', /^not_tls$|^protocol_error$/],
    ['', /^eof$/],
  ] as const) {
    const server = createServer((socket) => socket.on('error', () => {}).end(says));
    server.listen(0, '127.0.0.1');
    await within(5000, 'the server listens', once(server, 'listening'));
    t.teardown(() => server.close());
    const context = clientContext();
    const handshake = await dialOut(context, (server.address() as AddressInfo).port);
    t.match(handshake.failure, failure);
    context.release();
  }
});
