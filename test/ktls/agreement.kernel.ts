// What a handshake may agree on, on connections that the kernel takes over whatever it was.
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import t, { type Test } from 'tap';
import { KernelTlsRefusal, type ServerTlsSettings } from '#src/tls/index.js';
import { within } from '#test/support/deadline.js';
import { payload } from '#test/support/random.js';
import { authority, certificate, dial, everything } from '#test/support/tls-kit.js';
import { plainSettings, TlsServer } from '#test/support/tls-server.js';

const timeout = { timeout: 20_000 };
const certificates = [certificate(['a.test']), certificate(['*.b.test'], 'rsa:2048')];
const base: ServerTlsSettings = {
  ...plainSettings,
  certificates,
  ticketKeys: [Buffer.alloc(80, 1)],
};

/** Greets over a connection. @returns what the server says of it, and the client's session */
async function greet(t: Test, server: TlsServer, options: ConnectionOptions = {}) {
  const socket = await dial(server.port, options);
  let session: Buffer | undefined;
  // In TLS 1.3 the ticket comes after the handshake.
  socket.once('end', () => {
    session = socket.getSession();
  });
  // A resumed session of TLS 1.3 has none.
  const name = (socket.getPeerCertificate().subject as { CN: string } | undefined)?.CN;
  const alpn = socket.alpnProtocol;
  socket.end('hello');
  t.equal((await everything(socket)).toString(), 'hello');
  const done = await server.next('done');
  t.same([done.tx, done.rx], [KernelTlsRefusal.None, KernelTlsRefusal.None]);
  await server.next('ended');
  return { ...done.session, certificate: name, clientAlpn: alpn, ticket: session };
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  const only = { minVersion: version, maxVersion: version };

  t.test(`agreed in the kernel: names and protocols, ${version}`, timeout, async (t) => {
    const server = await TlsServer.start(t, { ...base, alpn: ['two', 'one'] });
    for (const [servername, ALPNProtocols, name, alpn] of [
      ['a.test', ['one', 'two'], 'a.test', 'two'],
      ['x.b.test', ['one'], '*.b.test', 'one'],
    ] as const) {
      const options = { servername, ALPNProtocols: [...ALPNProtocols], ...only };
      const agreed = await greet(t, server, options);
      t.match(agreed, { certificate: name, serverName: servername, alpn, clientAlpn: alpn });
    }
  });

  t.test(`agreed in the kernel: clients have certificates, ${version}`, timeout, async (t) => {
    const clientAuth = { mode: 'require', ca: authority(), verifyDepth: 2 } as const;
    const server = await TlsServer.start(t, { ...base, clientAuth });
    const { chain: cert, key } = certificate(['client.test']);
    const { peer } = await greet(t, server, { cert, key, ...only });
    t.match(peer, { subject: 'CN=client.test', isVerified: true });
    const without = connect({
      ...{ host: '127.0.0.1', port: server.port, servername: 'a.test', ca: authority(), ...only },
    });
    without.on('error', () => {});
    const { failure } = await server.next('failed');
    t.equal(failure, 'client_certificate_required');
    without.destroy();
  });

  t.test(`agreed in the kernel: ticket keys change, ${version}`, timeout, async (t) => {
    const [first, second] = [Buffer.alloc(80, 1), Buffer.alloc(80, 2)];
    const server = await TlsServer.start(t, base);
    const { ticket: session } = await greet(t, server, only);
    await server.reload({ ...base, ticketKeys: [second, first] });
    const resumed = await greet(t, server, { ...only, session });
    t.equal(resumed.isResumed, true, 'the old key still opens tickets');
    await server.reload({ ...base, ticketKeys: [second] });
    t.equal((await greet(t, server, { ...only, session })).isResumed, false, 'until it is gone');
  });

  t.test(`agreed in the kernel: split byte by byte, ${version}`, timeout, async (t) => {
    const server = await TlsServer.start(t, base);
    const splitter = await splitting(t, server.port);
    const socket = await dial(splitter, only);
    const sent = payload(1, 3000);
    socket.end(sent);
    t.ok((await everything(socket)).equals(sent));
    const { tx, rx } = await server.next('done');
    t.same([tx, rx], [KernelTlsRefusal.None, KernelTlsRefusal.None]);
  });
}

t.test('agreed in the kernel: what is no TLS leaves it to serve others', timeout, async (t) => {
  const server = await TlsServer.start(t, base);
  for (const [bytes, expected] of [
    [payload(1, 500), /^not_tls$/],
    [Buffer.from('GET / HTTP/1.1\r\n\r\n'), /^plain_http$/],
    [Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252]), payload(2, 508)]), /./],
  ] as const) {
    const socket = connectTcp(server.port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    socket.end(bytes);
    t.match((await server.next('failed')).failure, expected);
    socket.destroy();
  }
  await greet(t, server);
});

/** A port whose connections go on to `port`, from the client byte by byte. */
async function splitting(t: Test, port: number): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connectTcp({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    for (const socket of [client, upstream]) socket.on('error', () => {});
    upstream.pipe(client);
    passSlowly(client, upstream);
  });
  server.listen(0, '127.0.0.1');
  await within(5000, 'the splitter listens', once(server, 'listening'));
  t.teardown(() => server.close());
  return (server.address() as { port: number }).port;
}

async function passSlowly(from: Socket, to: Socket): Promise<void> {
  for await (const chunk of from.iterator({ destroyOnReturn: false })) {
    for (const byte of chunk as Buffer) {
      await new Promise((resolve) => to.write(Buffer.of(byte), resolve));
    }
  }
  to.end();
}
