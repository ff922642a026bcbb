import { randomBytes } from 'node:crypto';
import t from 'tap';
import { NativeMemory, Outcome } from '#src/splice/index.js';
import { TlsVersion } from '#src/tls/index.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { allocated, mallinfo } from '#test/support/machine/mallinfo.js';
import { SocketKit } from '#test/support/sockets/socket-kit.js';
import { certificate } from '#test/support/tls/tls-kit.js';
import { clientContext, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const memory = new NativeMemory(1024);

const WARM_UP = 1000;
const HANDSHAKES = 5000;
/**
 * Less than the smallest forgotten thing of each connection would come to: a session is 500 bytes. V8
 * takes some from the same heap, 200 bytes a connection now and then.
 */
const GROWTH_MAX = HANDSHAKES * 400;

t.test(
  'memory: 5,000 connections leave nothing behind',
  { timeout: 60_000, skip: mallinfo === undefined && 'this C library has no mallinfo2' },
  async (t) => {
    const keys = [randomBytes(80), randomBytes(80)];
    const settings = { ticketKeys: keys, alpn: ['http/1.1'] };
    const contexts = serverContexts(settings, { kernel: true });
    const ocsp = randomBytes(100);
    const other = serverContexts({
      ...settings,
      certificates: [{ ...certificate(['a.test']), ocsp }],
    });
    const clients = [
      clientContext({ alpn: ['http/1.1'] }, { kernel: true }),
      clientContext({ maxVersion: TlsVersion.Tls12 }),
      clientContext({ serverName: 'wrong.test' }),
      clientContext({ certificate: certificate(['client.test']), alpn: ['http/1.1'] }),
    ];
    const before = descriptors();
    let results = new Map<string, number>();
    const count = (what: string): unknown => results.set(what, (results.get(what) ?? 0) + 1);
    const connect = (index: number): void => {
      const kit = new SocketKit();
      const pair = new TlsPair(kit, index % 2 === 0 ? contexts : other, clients[index % 4]!);
      // A few are given up in the middle.
      if (index % 11 === 0) {
        for (let step = 0; step < index % 3; step++) pair.step();
        count('given up');
        pair.release();
        kit.closeAll();
        return;
      }
      if (!pair.shake()) {
        count(pair.client.failure!);
        pair.release();
        kit.closeAll();
        return;
      }
      count(pair.client.session!.isResumed ? 'resumed' : 'full');
      const { server, client } = pair.takeOver();
      // Tickets of TLS 1.3 are found with the first read.
      if (client.read(memory.address, 100) !== Outcome.Blocked) throw new Error('data?');
      if (index % 3 === 0) server.reset();
      else server.close();
      client.close();
      kit.closeAll();
    };
    for (let index = 0; index < WARM_UP; index++) connect(index);
    const start = allocated();
    results = new Map();
    for (let index = 0; index < HANDSHAKES; index++) connect(index);
    const growth = allocated() - start;
    t.ok(growth < GROWTH_MAX, `${growth} bytes more`);
    t.same(descriptors(), before, 'no descriptor is left open');
    t.same([...results.keys()].sort(), [
      'full',
      'given up',
      'resumed',
      'verify_failed:name_mismatch',
    ]);
    for (const context of [contexts, other, ...clients]) context.release();
  },
);
