// OpenSSL keeps its errors in one queue for the thread, and takes the first one it finds there for the reason of whatever
// call came last (SSL_get_error(3)): what one connection leaves behind would end another one that is well.
import { randomBytes } from 'node:crypto';
import { NativeMemory } from '#src/splice/index.js';
import {
  type ClientTlsSettings,
  loadOpenSsl,
  type OpenSsl,
  type ServerTlsSettings,
  TlsVersion,
} from '#src/tls/index.js';
import { Relay } from '#test/support/sockets/relay.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { authority, certificate, kit as certificates } from '#test/support/tls/tls-kit.js';
import { clientContext, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const real = loadOpenSsl();
const memory = new NativeMemory(65536);
const { Tls12, Tls13 } = TlsVersion;

/** What found the queue not empty. */
const found: string[] = [];

function watched(name: keyof OpenSsl) {
  return (...args: never[]): number => {
    if (real.ERR_peek_error() !== 0) {
      found.push(`${name}: ${real.ERR_reason_error_string(real.ERR_peek_error())}`);
      real.ERR_clear_error();
    }
    return (real[name] as (...args: never[]) => number)(...args);
  };
}

const input = ['SSL_do_handshake', 'SSL_read', 'SSL_write', 'SSL_shutdown'] as const;
const openssl = {
  ...real,
  ...Object.fromEntries(input.map((name) => [name, watched(name)])),
} as OpenSsl;

interface Meeting {
  readonly server?: Partial<ServerTlsSettings>;
  readonly client?: Partial<ClientTlsSettings>;
  /** The next one is with another server. */
  readonly next?: Partial<ServerTlsSettings>;
  /** A bit is changed in what is sent after so many steps. */
  readonly spoiledStep?: number;
  /** How it ends after the handshake. */
  readonly end?: 'spoiled' | 'reset' | 'cut';
}

/** Two connections, one after the other, by the same client: the second one has a session of the first. */
function meet(kit: SocketKit, version: TlsVersion, meeting: Meeting): void {
  const client = clientContext(
    { ...meeting.client, minVersion: version, maxVersion: version },
    { kernel: false },
    openssl,
  );
  for (const settings of [meeting.server, meeting.next ?? meeting.server]) {
    const contexts = serverContexts({ ...settings }, { kernel: false }, openssl);
    const relay = new Relay(kit);
    const pair = new TlsPair(kit, contexts, client, { pair: relay.ends });
    for (let step = 0; step < 12; step++) {
      pair.step();
      relay.spoil = step === meeting.spoiledStep;
      relay.all();
    }
    relay.spoil = false;
    if (pair.serverResult === 1 && pair.clientResult === 1) talk(pair, relay, meeting.end);
    else pair.release();
    contexts.release();
  }
  client.release();
}

function talk(pair: TlsPair, relay: Relay, end: Meeting['end']): void {
  const { server, client } = pair.takeOver();
  const both = [
    [server, client],
    [client, server],
  ] as const;
  for (const [one, other] of both) {
    one.write(memory.address, 30_000);
    relay.all();
    pause(1);
    other.notice(1);
    while (other.read(memory.address, 65536) > 0);
  }
  if (end === 'reset') client.reset();
  else client.write(memory.address, 100);
  relay.spoil = end === 'spoiled';
  if (end === 'cut') relay.cutUp();
  relay.all();
  pause(1);
  relay.spoil = false;
  for (const one of end === 'reset' ? [server] : [server, client]) {
    one.notice(0x2001);
    while (one.read(memory.address, 65536) > 0);
    one.write(memory.address, 100);
    relay.all();
    one.shutdownWrite();
    one.close();
  }
}

const [one, two] = [randomBytes(80), randomBytes(80)];
const clientAuth = { mode: 'request', ca: authority(), verifyDepth: 2 } as const;
const stranger = (): { names: string[]; chain: string; key: string } => {
  certificates.issue('stranger', { names: ['DNS:a.test'] });
  return {
    names: ['a.test'],
    chain: certificates.text('stranger.pem'),
    key: certificates.text('stranger.key'),
  };
};

const meetings: Record<string, () => Meeting> = {
  'all is well': () => ({}),
  'sessions are resumed': () => ({ server: { ticketKeys: [one] } }),
  'by one of several keys': () => ({ server: { ticketKeys: [one, two] } }),
  'by an old key': () => ({ server: { ticketKeys: [one, two] }, next: { ticketKeys: [two, one] } }),
  'by a key that is gone': () => ({
    server: { ticketKeys: [one, two] },
    next: { ticketKeys: [two] },
  }),
  'by a key of the same name that is another': () => {
    const other = Buffer.from(one);
    other.fill(7, 16);
    return { server: { ticketKeys: [one] }, next: { ticketKeys: [other] } };
  },
  'the same among several': () => {
    const other = Buffer.from(one);
    other.fill(7, 16);
    return { server: { ticketKeys: [one, two] }, next: { ticketKeys: [other, two] } };
  },
  'a client without the certificate it is asked for': () => ({ server: { clientAuth } }),
  'one with it': () => ({
    server: { clientAuth },
    client: { certificate: certificate(['client.test']) },
  }),
  'one nobody knows': () => ({ server: { clientAuth }, client: { certificate: stranger() } }),
  'a server nobody knows': () => ({ server: { certificates: [stranger()] } }),
  'nobody verifies': () => ({
    server: { certificates: [stranger()] },
    client: { verify: false, serverName: 'other.test' },
  }),
  'another name': () => ({ client: { serverName: 'other.test' } }),
  'RSA and a response': () => ({
    server: { certificates: [{ ...certificate(['a.test'], 'rsa:2048'), ocsp: randomBytes(50) }] },
  }),
  'no protocol in common': () => ({ server: { alpn: ['h2'] }, client: { alpn: ['http/1.1'] } }),
  'a record is spoiled': () => ({ end: 'spoiled' }),
  'a reset': () => ({ end: 'reset' }),
  'an end without a word': () => ({ end: 'cut' }),
  ...Object.fromEntries(
    [0, 1, 2, 3].map((spoiledStep) => [
      `step ${spoiledStep} of the handshake is spoiled`,
      () => ({ server: { ticketKeys: [one] }, spoiledStep }),
    ]),
  ),
};

for (const version of [Tls12, Tls13]) {
  socketTest(
    `error queue: it is empty whenever OpenSSL is called, TLS 1.${version - 0x301}`,
    async (t, kit) => {
      for (const [what, make] of Object.entries(meetings)) {
        meet(kit, version, make());
        t.same(found.splice(0), [], what);
        t.equal(real.ERR_peek_error(), 0, `${what}: and afterwards`);
        real.ERR_clear_error();
      }
    },
  );
}
