// Session tickets through reloads, rotations of their keys, and on other machines with the same ones.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import { echoOrigin } from '#test/support/control/live-proxy.js';
import { within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';
import { OpensslClient } from '#test/support/tls/openssl-client.js';
import { authority, kit } from '#test/support/tls/tls-kit.js';
import {
  type Suite,
  type SuiteProxy,
  served,
  servedTls,
  suiteTest,
  type Version,
  versions,
} from '#test/support/tls-suite/tls-suite.js';

const timeout = { timeout: 30_000 };
const missing = missingProgram(['openssl']);

/** @param tickets `session_tickets` */
async function begin(t: Test, { start }: Suite, tickets?: unknown): Promise<SuiteProxy> {
  const origin = await echoOrigin(t);
  const tls = servedTls(tickets === undefined ? {} : { session_tickets: tickets });
  return start({
    workers: 2,
    listeners: { in: { tls, tcp: { upstream: 'one' } } },
    upstreams: { one: { endpoints: [origin.address] } },
  });
}

/** A client of one version of TLS, and what it has been given last. */
class Client {
  private session: Buffer | undefined;

  constructor(readonly version: 'TLSv1.2' | 'TLSv1.3') {}

  /** Connects with the last ticket, speaks, and takes the next one. @returns whether the session went on */
  async visit({ port }: SuiteProxy): Promise<boolean> {
    const { version, session } = this;
    const socket: TLSSocket = connect({
      host: '127.0.0.1',
      port,
      servername: 'a.test',
      ca: authority(),
      minVersion: version,
      maxVersion: version,
      ...(session && { session }),
    });
    socket.on('session', (ticket: Buffer) => {
      this.session = ticket;
    });
    try {
      socket.write('hello');
      await within(5_000, 'the echo', once(socket, 'data'));
      // OpenSSL does not report that a resumed session of TLS 1.2 was given another ticket.
      if (version === 'TLSv1.2') this.session = socket.getSession();
      return socket.isSessionReused();
    } finally {
      socket.destroy();
    }
  }

  /** Another one with the same ticket. */
  copy(): Client {
    const copy = new Client(this.version);
    copy.session = this.session;
    return copy;
  }
}

suiteTest(missing, 'tls tickets: random keys are kept over a reload', timeout, async (t, suite) => {
  const proxy = await begin(t, suite);
  for (const version of versions) {
    const client = new Client(version);
    t.equal(await client.visit(proxy), false);
    for (let round = 0; round < 4; round++) {
      await proxy.reload();
      t.equal(await client.visit(proxy), true, `${version}, by either worker`);
    }
  }
});

suiteTest(
  missing,
  'tls tickets: without tickets every handshake is a full one',
  timeout,
  async (t, suite) => {
    const proxy = await begin(t, suite, false);
    for (const version of versions) {
      const client = new Client(version);
      for (let round = 0; round < 3; round++) t.equal(await client.visit(proxy), false, version);
    }
  },
);

suiteTest(missing, 'tls tickets: the keys of a file are rotated', timeout, async (t, suite) => {
  const file = `${temporaryDirectory(t)}/tickets.key`;
  const [old, current, next] = [randomBytes(80), randomBytes(80), randomBytes(80)];
  const give = (...keys: Buffer[]) => writeFileSync(file, Buffer.concat(keys));
  give(old);
  const proxy = await begin(t, suite, { key_file: file });
  for (const version of versions) {
    give(old);
    await proxy.reload();
    const client = new Client(version);
    t.equal(await client.visit(proxy), false, 'the first time');
    const left = client.copy();
    give(current, old);
    await proxy.reload();
    t.equal(await client.visit(proxy), true, `${version}: a ticket by the old key`);
    // What it was given on that occasion is by the key in front.
    give(next, current);
    await proxy.reload();
    t.equal(await client.visit(proxy), true, `${version}: the ticket was renewed`);
    t.equal(await left.visit(proxy), false, `${version}: the old key is gone`);
    t.equal(await left.visit(proxy), true, `${version}: after a full handshake it goes on`);
  }
});

suiteTest(
  missing,
  'tls tickets: a file of keys is good for a whole fleet',
  timeout,
  async (t, suite) => {
    const file = `${temporaryDirectory(t)}/tickets.key`;
    writeFileSync(file, randomBytes(80));
    const [one, other, stranger] = [
      await begin(t, suite, { key_file: file }),
      await begin(t, suite, { key_file: file }),
      await begin(t, suite),
    ];
    for (const version of versions) {
      const client = new Client(version);
      t.equal(await client.visit(one!), false);
      t.equal(await client.visit(other!), true, `${version}: the machine beside it`);
      t.equal(await client.visit(one!), true, `${version}: and back`);
      t.equal(await client.copy().visit(stranger!), false, `${version}: nobody else`);
    }
  },
);

/** Names that clients ask for with the session of another, "" for none, and the handshakes of TLS 1.2 and 1.3 that follow. */
const askedFor = [
  { first: 'a.test', second: 'a.test', handshakes: ['Reused', 'Reused'] },
  { first: 'a.test', second: 'A.Test.', handshakes: ['Reused', 'Reused'] },
  { first: '', second: '', handshakes: ['Reused', 'Reused'] },
  { first: 'a.test', second: 'b.test', handshakes: ['New', 'Reused'] },
  { first: 'a.test', second: 'c.b.test', handshakes: ['New', 'Reused'] },
  { first: 'a.test', second: 'b.tes', handshakes: ['New', 'Reused'] },
  { first: 'a.test', second: '', handshakes: ['New', 'Reused'] },
  { first: '', second: 'a.test', handshakes: ['New', 'Reused'] },
] as const;

suiteTest(
  missing,
  'tls tickets: who asks for another name is served by that one',
  { timeout: 90_000 },
  async (t, suite) => {
    const tickets = `${temporaryDirectory(t)}/tickets.key`;
    writeFileSync(tickets, randomBytes(80));
    const certificates = [served(['a.test', 'b.test']), served(['*.b.test'])];
    const tls = { certificates, session_tickets: { key_file: tickets } };
    const proxy = await suite.start({
      listeners: { in: { tls, http: { routes: [{ redirect: '/for-$sni' }] } } },
      upstreams: {},
    });
    const file = kit.path('session-of-a-name');
    /** By openssl: Node's own client may keep a session from other names than its own. */
    const visit = async (version: Version, name: string, option: string) => {
      const flag = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
      const server = name === '' ? ['-noservername'] : ['-servername', name];
      const client = new OpensslClient(t, proxy.port, flag, ...server, option, file);
      client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
      await client.says(/^location: .*\r$/im);
      client.write('Q\n');
      await client.end();
      const [, handshake] = /^(New|Reused), TLSv1/m.exec(client.output) ?? [];
      const [, heard] = /^location: \/for-(.*)\r$/im.exec(client.output) ?? [];
      return { handshake, heard };
    };
    for (const keys of [1, 2]) {
      writeFileSync(tickets, randomBytes(80 * keys));
      await proxy.reload();
      for (const [index, version] of versions.entries()) {
        for (const { first, second, handshakes } of askedFor) {
          const what = `${version}, ${keys} keys: ${first || 'no name'}, then ${second || 'no name'}`;
          const before = await visit(version, first, '-sess_out');
          t.same(before, { handshake: 'New', heard: first }, what);
          const after = await visit(version, second, '-sess_in');
          const heard = second.toLowerCase().replace(/\.$/, '');
          t.same(after, { handshake: handshakes[index], heard }, what);
        }
      }
    }
  },
);
