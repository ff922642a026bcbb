import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import { createKernel, Epoll, Errno, NativeMemory, SocketOption } from '#src/splice/index.js';
import {
  type ClientTlsSettings,
  Handshake,
  HandshakeResult,
  HandshakeState,
  handshakeFailures,
  type ServerTlsSettings,
  TlsVersion,
} from '#src/tls/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { authority, certificate, kit as certificates } from '#test/support/tls/tls-kit.js';
import { clientContext, room, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const { Tls12, Tls13 } = TlsVersion;
const { IPPROTO_TCP, TCP_NODELAY } = SocketOption;
const { Waiting, Done, Failed } = HandshakeResult;

interface Meeting {
  readonly server?: Partial<ServerTlsSettings>;
  readonly client?: Partial<ClientTlsSettings>;
  readonly host?: string;
}

/** Lets a server and a client meet, once. */
function meet(kit: SocketKit, { server, client, host }: Meeting): TlsPair {
  const contexts = serverContexts(server);
  const context = clientContext(client);
  const pair = new TlsPair(kit, contexts, context, host === undefined ? {} : { host });
  // Handshakes have references of their own.
  contexts.release();
  context.release();
  pair.shake();
  return pair;
}

for (const version of [Tls12, Tls13]) {
  const ciphers: readonly (readonly [string, number])[] =
    version === Tls12
      ? [
          ['ECDHE-ECDSA-AES128-GCM-SHA256', 0xc02b],
          ['ECDHE-ECDSA-AES256-GCM-SHA384', 0xc02c],
          ['ECDHE-ECDSA-CHACHA20-POLY1305', 0xcca9],
        ]
      : [
          ['TLS_AES_128_GCM_SHA256', 0x1301],
          ['TLS_AES_256_GCM_SHA384', 0x1302],
          ['TLS_CHACHA20_POLY1305_SHA256', 0x1303],
        ];
  for (const [cipher, cipherId] of ciphers) {
    socketTest(`handshake: ${cipher}, agreed on by both`, async (t, kit) => {
      const only = version === Tls12 ? { ciphers: cipher } : { ciphersuites: cipher };
      const pair = meet(kit, {
        server: { maxVersion: version, alpn: ['one', 'two'] },
        client: { maxVersion: version, alpn: ['two'], ...only },
      });
      for (const [side, { session, state }] of [
        ['server', pair.server],
        ['client', pair.client],
      ] as const) {
        t.equal(state, HandshakeState.done, side);
        t.match(session, {
          ...{ version, cipher, cipherId, isResumed: false },
          ...{ serverName: 'a.test', alpn: 'two' },
        });
      }
      t.equal(pair.server.session!.peer, undefined);
      t.same(pair.client.session!.peer, {
        subject: 'CN=a.test',
        commonName: 'a.test',
        isVerified: true,
      });
      pair.release();
    });
  }
}

const failures: readonly (readonly [string, Meeting, string | undefined, string | undefined])[] = [
  [
    'no version in common',
    { server: { minVersion: Tls13 }, client: { maxVersion: Tls12 } },
    'unsupported_version',
    'alert_received:protocol_version',
  ],
  [
    'no cipher in common',
    {
      server: { maxVersion: Tls12, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
      client: { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' },
    },
    'no_shared_cipher',
    'alert_received:handshake_failure',
  ],
  [
    'no suite in common',
    {
      server: { minVersion: Tls13, ciphersuites: 'TLS_AES_128_GCM_SHA256' },
      client: { ciphersuites: 'TLS_AES_256_GCM_SHA384' },
    },
    'no_shared_cipher',
    'alert_received:handshake_failure',
  ],
  [
    'no group in common',
    { server: { minVersion: Tls13, curves: 'X25519' }, client: { curves: 'P-256' } },
    'no_shared_group',
    'alert_received:handshake_failure',
  ],
  [
    'no application protocol in common',
    { server: { alpn: ['h2'] }, client: { alpn: ['smtp'] } },
    'no_application_protocol',
    'alert_received:no_application_protocol',
  ],
  [
    'a server nobody knows',
    { client: { ca: certificate(['unknown.test']).chain } },
    'alert_received:unknown_ca',
    'verify_failed:unknown_issuer',
  ],
  [
    'a server of another name',
    { client: { serverName: 'b.test' } },
    'alert_received:bad_certificate',
    'verify_failed:name_mismatch',
  ],
  [
    'a server of another address',
    { client: { serverName: undefined } },
    'alert_received:bad_certificate',
    'verify_failed:name_mismatch',
  ],
  [
    'a server whose certificate has expired',
    { server: { certificates: [certificate(['a.test'], 'ec:P-256', -1)] } },
    'alert_received:certificate_expired',
    'verify_failed:expired',
  ],
];

for (const [what, meeting, atServer, atClient] of failures) {
  socketTest(`handshake: ${what}`, async (t, kit) => {
    const pair = meet(kit, meeting);
    // A client of TLS 1.3 has a certificate verified after the server was done.
    t.same([pair.server.failure, pair.client.failure], [atServer, atClient]);
    t.ok(handshakeFailures.includes(pair.client.failure!));
    t.ok(handshakeFailures.includes(pair.server.failure!));
    t.not(pair.client.detail, '');
    t.equal(pair.client.ssl, 0);
    pair.release();
  });
}

socketTest(
  'handshake: a server_name is one name in any case, and with the root’s dot',
  (t, kit) => {
    const server = { certificates: [certificate(['other.test']), certificate(['a.test'])] };
    for (const serverName of ['A.Test', 'a.test.', 'A.TEST.']) {
      const pair = meet(kit, { server, client: { serverName, verify: false } });
      t.equal(pair.server.session!.serverName, 'a.test', serverName);
      t.equal(pair.client.session!.peer!.subject, 'CN=a.test', 'its certificate');
      pair.release();
    }
  },
);

socketTest('handshake: an address is verified as one', async (t, kit) => {
  const server = { certificates: [certificate(['127.0.0.1', '::1'])] };
  for (const [client, host] of [
    [{ serverName: undefined }, '127.0.0.1'],
    [{ serverName: undefined }, '::1'],
    [{ serverName: '127.0.0.1' }, '10.1.1.1'],
  ] as const) {
    const pair = meet(kit, { server, client, host });
    t.equal(pair.clientResult, Done, host);
    t.equal(pair.server.session!.serverName, undefined, 'an address is no server_name');
    pair.release();
  }
});

socketTest('handshake: where there is no name, nobody will do', async (t, kit) => {
  const context = clientContext({ serverName: undefined });
  const { near } = kit.pair('unix');
  const client = Handshake.connect(room, context, near, false, '', 'unix:/x');
  context.release();
  t.equal(client.advance(0), Failed);
  t.same([client.failure, client.ssl], ['verify_failed:name_mismatch', 0]);
  t.ok(handshakeFailures.includes(client.failure!));
});

socketTest('handshake: without verification anybody will do', async (t, kit) => {
  const pair = meet(kit, { client: { verify: false, serverName: 'b.test', ca: '' } });
  t.equal(pair.clientResult, Done);
  t.equal(pair.client.session!.peer!.isVerified, false);
  pair.release();
});

for (const version of [Tls12, Tls13]) {
  const name = `TLS 1.${version - 0x301}`;
  socketTest(`handshake: clients have certificates, ${name}`, async (t, kit) => {
    const own = certificate(['client.test']);
    const expired = certificate(['late.test'], 'ec:P-256', -1);
    const ca = authority();
    const only = { minVersion: version, maxVersion: version };
    const ask = { mode: 'request', ca, verifyDepth: 1 } as const;
    const must = { ...ask, mode: 'require' } as const;
    for (const [clientAuth, certificate, expected] of [
      [ask, undefined, undefined],
      [ask, own, 'CN=client.test'],
      [must, own, 'CN=client.test'],
      [must, undefined, 'client_certificate_required'],
      [must, expired, 'verify_failed:expired'],
      [ask, expired, 'verify_failed:expired'],
    ] as const) {
      const pair = meet(kit, { server: { clientAuth }, client: { certificate, ...only } });
      const { session, failure } = pair.server;
      t.equal(failure ?? session!.peer?.subject, expected);
      if (session?.peer) t.equal(session.peer.isVerified, true);
      pair.release();
    }
  });
}

socketTest('handshake: a revoked client certificate', async (t, kit) => {
  const own = certificate(['revoked.test']);
  const good = certificate(['good.test']);
  certificates.write('revoked.pem', own.chain);
  certificates.write('index.txt', '');
  certificates.write('crlnumber', '01\n');
  certificates.write(
    'ca.cnf',
    '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\n' +
      'default_crl_days=30\n',
  );
  const by = ['-config', 'ca.cnf', '-cert', 'authority.pem', '-keyfile', 'authority.key'];
  certificates.openssl('ca', ...by, '-revoke', 'revoked.pem');
  certificates.openssl('ca', ...by, '-gencrl', '-out', 'crl.pem');
  const crl = certificates.text('crl.pem');
  const clientAuth = { mode: 'require', ca: authority(), verifyDepth: 1, crl } as const;
  const refused = meet(kit, { server: { clientAuth }, client: { certificate: own } });
  t.equal(refused.server.failure, 'verify_failed:revoked');
  const taken = meet(kit, { server: { clientAuth }, client: { certificate: good } });
  t.equal(taken.server.session?.peer?.subject, 'CN=good.test');
  for (const pair of [refused, taken]) pair.release();
});

/** What a server makes of bytes that are no handshake. */
function hear(
  t: Test,
  kit: SocketKit,
  bytes: Uint8Array | string,
  then: 'wait' | 'end' | 'reset',
): { handshake: Handshake; result: HandshakeResult; far: RawPeer } {
  const contexts = serverContexts();
  const { near, far } = kit.pair();
  const handshake = Handshake.accept(room, contexts, near, true);
  contexts.release();
  t.equal(handshake.advance(0), Waiting);
  far.send(Buffer.from(bytes));
  let events: number = Epoll.EPOLLIN;
  if (then === 'end') far.end();
  if (then === 'reset') far.reset();
  if (then !== 'wait') events |= Epoll.EPOLLRDHUP;
  pause(2);
  let result = handshake.advance(events);
  if (result === Waiting && then !== 'wait') result = handshake.advance(events);
  if (then !== 'reset') {
    kit.close(near);
    pause(1);
    far.receive();
  }
  return { handshake, result, far };
}

for (const [what, bytes, then, failure] of [
  ['a request for a page', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'wait', 'plain_http'],
  ['a request of any method', 'VERSION-CONTROL /x HTTP/1.1\r\n\r\n', 'wait', 'plain_http'],
  ['another protocol', 'SSH-2.0-x\r\n', 'wait', 'not_tls'],
  ['letters and an end', 'GE', 'end', 'not_tls'],
  ['zeros', Buffer.alloc(100), 'wait', 'not_tls'],
  ['SSL 2.0', Buffer.from([0x80, 0x2e, 1, 0, 2]), 'wait', 'unsupported_version'],
  ['SSL 2.0, not a hello', Buffer.from([0x80, 0x2e, 9, 0, 2]), 'wait', 'not_tls'],
  ['nothing', '', 'end', 'eof'],
  ['a broken-off hello', Buffer.from([22, 3, 1, 0, 100, 1]), 'end', 'eof'],
  ['a reset', '', 'reset', 'reset'],
  ['a reset in a hello', Buffer.from([22, 3, 1, 0, 100, 1]), 'reset', 'reset'],
  ['a record of no known version', Buffer.from([22, 9, 9, 0, 1, 1]), 'wait', 'not_tls'],
  ['an alert first', Buffer.from([21, 3, 3, 0, 2, 2, 40]), 'wait', 'not_tls'],
  ['a hello of nonsense', Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 1, 7]), 'wait', 'protocol_error'],
] as const) {
  socketTest(`handshake: ${what}`, async (t, kit) => {
    const { handshake, result, far } = hear(t, kit, bytes, then);
    t.equal(result, Failed);
    t.equal(handshake.failure, failure);
    t.equal(handshake.state, HandshakeState.over);
    t.equal(handshake.ssl, 0);
    if (then === 'reset') return;
    t.ok(far.isEnded, 'closed with a FIN, not a reset');
    t.equal(far.errno, 0);
    if (failure === 'plain_http') {
      const [head, body] = far.received.toString().split('\r\n\r\n');
      t.match(head, /^HTTP\/1\.1 400 Bad Request\r\n/);
      t.equal(Number(/Content-Length: (\d+)/.exec(head!)![1]), body!.length);
    }
    if (failure === 'protocol_error') t.equal(far.received[0], 21, 'an alert');
  });
}

socketTest('handshake: the kernel may refuse any call', async (t, kit) => {
  const contexts = serverContexts();
  const fault = (script: (libc: ScriptedLibc) => void, said: string, times = 1) => {
    const libc = new ScriptedLibc();
    script(libc);
    const { near, far } = kit.pair();
    const faulty = { ...room, kernel: createKernel(libc) };
    const handshake = Handshake.accept(faulty, contexts, near, true);
    far.send(Buffer.from(said));
    pause(1);
    let result: HandshakeResult = Waiting;
    for (let turn = 0; turn < times; turn++) result = handshake.advance(Epoll.EPOLLIN);
    return { result, failure: handshake.failure, detail: handshake.detail };
  };
  const { EAGAIN, EINTR, ENOMEM, ECONNRESET, EPIPE } = Errno;
  const page = 'GET / HTTP/1.1\r\n\r\n';
  t.equal(fault((libc) => libc.fail('recv', EAGAIN), page).result, Waiting);
  t.match(
    fault((libc) => libc.fail('recv', EAGAIN), page, 2),
    { failure: 'plain_http' },
  );
  t.match(
    fault((libc) => libc.fail('recv', EINTR), page),
    { failure: 'plain_http' },
  );
  t.match(
    fault((libc) => libc.fail('recv', ECONNRESET), page),
    { failure: 'reset' },
  );
  const refused = fault((libc) => libc.fail('recv', ENOMEM), page);
  t.match(refused, { failure: 'internal_error', detail: 'ENOMEM' });
  t.match(
    fault((libc) => libc.fail('send', EPIPE), page),
    { failure: 'plain_http' },
  );
  contexts.release();
});

socketTest('handshake: a few letters are waited for', async (t, kit) => {
  const { handshake, result } = hear(t, kit, 'GE', 'wait');
  t.equal(result, Waiting);
  t.equal(handshake.state, HandshakeState.expecting);
  handshake.release();
});

socketTest('handshake: the time is up', async (t, kit) => {
  for (const bytes of ['', Buffer.from([22, 3, 1, 0, 100, 1])]) {
    const { handshake } = hear(t, kit, bytes, 'wait');
    handshake.expire();
    t.equal(handshake.failure, 'timeout');
    t.equal(handshake.advance(Epoll.EPOLLIN), Failed);
    handshake.release();
  }
});

socketTest('handshake: nothing is done without an event that it waits for', async (t, kit) => {
  const contexts = serverContexts();
  const { near, far } = kit.pair();
  const handshake = Handshake.accept(room, contexts, near, true);
  contexts.release();
  t.equal(handshake.advance(Epoll.EPOLLIN), Waiting);
  far.send(Buffer.from('GET / '));
  pause(1);
  t.equal(handshake.advance(Epoll.EPOLLOUT), Waiting, 'it is not known to be readable');
  t.equal(handshake.advance(Epoll.EPOLLIN), Failed);
});

/** Carries bytes from one socket to another, `most` at a time. @returns bytes carried */
function carry(kit: SocketKit, from: number, to: number, most: number): number {
  const { address } = memory;
  const length = kit.kernel.recv(from, address, most, 0);
  if (length > 0) kit.kernel.send(to, address, length, 0);
  return length;
}
const memory = new NativeMemory(65536);

for (const version of [Tls12, Tls13]) {
  socketTest(`handshake: byte by byte, 1.${version - 0x301}`, async (t, kit) => {
    const contexts = serverContexts({ maxVersion: version });
    const context = clientContext({ maxVersion: version });
    const [one, other] = [kit.pair(), kit.pair()];
    for (const { far } of [one, other]) far.set(IPPROTO_TCP, TCP_NODELAY, 1);
    const server = Handshake.accept(room, contexts, one.near, true);
    const client = Handshake.connect(room, context, other.near, true, '127.0.0.1', 'x');
    let steps = 0;
    for (; steps < 20_000; steps++) {
      const results = [server.advance(0), client.advance(0)];
      if (results.every((result) => result === Done)) break;
      carry(kit, one.far.fd, other.far.fd, 1);
      carry(kit, other.far.fd, one.far.fd, 1);
    }
    t.equal(server.state, HandshakeState.done);
    t.equal(client.state, HandshakeState.done);
    t.ok(steps > 500, `${steps} steps`);
    for (const handshake of [server, client]) handshake.release();
    contexts.release();
    context.release();
  });

  socketTest(`handshake: broken off anywhere, 1.${version - 0x301}`, async (t, kit) => {
    const contexts = serverContexts({ maxVersion: version });
    const context = clientContext({ maxVersion: version });
    const seen = new Set<string | undefined>();
    for (let after = 0; after < 2000; after += 97) {
      const [one, other] = [kit.pair(), kit.pair()];
      const server = Handshake.accept(room, contexts, one.near, true);
      const client = Handshake.connect(room, context, other.near, true, '127.0.0.1', 'x');
      let carried = 0;
      for (let quiet = 0; quiet < 6 && carried < after; quiet++) {
        server.advance(0);
        client.advance(0);
        const up = carry(kit, other.far.fd, one.far.fd, after - carried);
        const down = carry(kit, one.far.fd, other.far.fd, 65536);
        carried += Math.max(0, up);
        if (up > 0 || down > 0) quiet = 0;
      }
      one.far.end();
      for (let attempt = 0; attempt < 100 && server.advance(0) === Waiting; attempt++) pause(1);
      seen.add(server.failure);
      for (const handshake of [server, client]) handshake.release();
      for (const { near, far } of [one, other]) {
        kit.close(near);
        far.close();
      }
    }
    t.same([...seen].sort(), ['eof', undefined].sort());
    contexts.release();
    context.release();
  });
}

socketTest('handshake: a callback that throws is an exception, not a crash', async (t, kit) => {
  const contexts = serverContexts();
  const context = clientContext();
  contexts.onServerName = () => {
    throw new Error('on purpose');
  };
  const pair = new TlsPair(kit, contexts, context);
  t.throws(() => pair.shake(), /on purpose/);
  pair.release();
  contexts.release();
  context.release();
});

socketTest('handshake: certificates are exchanged while it goes on', async (t, kit) => {
  const contexts = serverContexts({
    certificates: [certificate(['a.test']), certificate(['b.test'])],
  });
  const context = clientContext({ serverName: 'b.test' });
  const pair = new TlsPair(kit, contexts, context);
  t.equal(pair.server.advance(0), Waiting);
  contexts.release();
  context.release();
  t.ok(pair.shake());
  t.equal(pair.client.session!.peer!.subject, 'CN=b.test');
  pair.release();
});

socketTest('handshake: secrets are caught for the kernel, and only for it', async (t, kit) => {
  const forKernel = { kernel: true };
  for (const [version, lengths] of [
    [Tls12, [0, 0, 48]],
    [Tls13, [32, 32, 0]],
  ] as const) {
    const settings = {
      minVersion: version,
      maxVersion: version,
      ciphersuites: 'TLS_AES_128_GCM_SHA256',
    };
    const keys = { ...settings, ticketKeys: [randomBytes(80)] };
    const contexts = serverContexts(keys, forKernel);
    const context = clientContext(settings, forKernel);
    const pair = new TlsPair(kit, contexts, context);
    t.ok(pair.shake());
    const [one, other] = [pair.server.secrets!, pair.client.secrets!];
    t.same([one.client.length, one.server.length, one.master.length], lengths);
    for (const name of ['client', 'server', 'master'] as const) {
      t.ok(Buffer.from(one[name]).equals(other[name]), `both have the same ${name} secret`);
      if (one[name].length > 0) t.ok(one[name].some((byte) => byte !== 0));
    }
    t.equal(pair.server.ticketRecords, version === Tls13 ? 1 : 0);
    const view = version === Tls13 ? one.client : one.master;
    const { server, client } = pair.takeOver();
    t.ok(
      view.every((byte) => byte === 0),
      'overwritten',
    );
    t.equal(pair.server.secrets, undefined);
    server.close();
    client.close();
    contexts.release();
    context.release();
  }
  const pair = meet(kit, {});
  t.equal(pair.server.secrets, undefined);
  pair.release();
});

socketTest('handshake: 500 at once', async (t, kit) => {
  const contexts = serverContexts();
  const context = clientContext();
  const pairs = Array.from({ length: 500 }, () => new TlsPair(kit, contexts, context));
  for (let round = 0; round < 10; round++) for (const pair of pairs) pair.step();
  t.equal(pairs.filter((pair) => pair.shake()).length, 500);
  for (const pair of pairs) pair.release();
  contexts.release();
  context.release();
});

t.test('handshake: failures have fixed places', async (t) => {
  t.equal(new Set(handshakeFailures).size, handshakeFailures.length);
  t.ok(handshakeFailures.length < 100);
});
