// A name leads elsewhere while clients come and go, with a resolver that has bad days.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { loadConfig } from '#src/config/index.js';
import { Supervisor } from '#src/control/index.js';
import { connect, Load } from '#test/support/control/live-proxy.js';
import { until } from '#test/support/deadline.js';
import { freePort } from '#test/support/peers/address.js';
import { DnsServer } from '#test/support/peers/dns-server.js';
import { CertificateKit } from '#test/support/tls/certificates.js';

/** Echoes with its name in front. */
async function named(t: Test, name: string, host: string, port: number) {
  const seen = { connections: 0 };
  const server = net.createServer({ noDelay: true }, (socket) => {
    seen.connections++;
    socket.on('error', () => {}).on('data', (data) => socket.write(`${name}:${data}`));
  });
  await new Promise<void>((resolve) => server.listen(port, host, 4096, resolve));
  t.teardown(() => server.close());
  return seen;
}

t.test('DNS under load: traffic moves, and no connection fails', { timeout: 60_000 }, async (t) => {
  const port = await freePort();
  const [old, next] = [
    await named(t, 'a', '127.0.0.1', port),
    await named(t, 'b', '127.0.0.2', port),
  ];
  const dns = await DnsServer.open();
  t.teardown(() => dns.close());
  dns.host('app.test', ['127.0.0.1'], 1);
  const loaded = loadConfig(`workers: 2
log: { level: silent }
listeners: { web: { bind: "127.0.0.1:0", tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["app.test.:${port}"] } }`);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const discovery = { servers: [dns.address], families: ['inet' as const] };
  const supervisor = await Supervisor.start(loaded.config, { discovery });
  t.teardown(() => supervisor.close());
  const { address } = supervisor.addresses[0]!;
  const established = connect(t, address);
  t.equal(await heard(established, 'x'), 'a:x');

  const answers = new Set<string>();
  const load = new Load(async () => {
    const socket = connect(t, address);
    const answer = await heard(socket, 'x');
    socket.destroy();
    answers.add(answer);
    return /^[ab]:x$/.test(answer);
  });
  const newTo = async (one: { connections: number }, what: string) => {
    const before = one.connections;
    await until(10_000, what, () => one.connections > before + 20);
  };
  dns.host('app.test', ['127.0.0.2'], 1);
  await newTo(next, 'the name leads to b');
  dns.reply('app.test', 'A', { rcode: 'SERVFAIL' });
  const asked = dns.questions.length;
  await until(10_000, 'the resolver has failed', () => dns.questions.length > asked + 1);
  dns.reply('app.test', 'A', 'silence');
  const before = old.connections;
  await newTo(next, 'the last good answer holds');
  t.ok(old.connections - before <= 2, 'nobody goes back');
  dns.host('app.test', ['127.0.0.1', '127.0.0.2'], 1);
  await newTo(old, 'the name leads to both');
  await newTo(next, 'the name leads to both');
  dns.host('app.test', ['127.0.0.1'], 1);
  await newTo(old, 'and back to a');
  t.equal(await load.end(), 0, `of ${load.count}`);
  t.same(answers, new Set(['a:x', 'b:x']));
  t.equal(await heard(established, 'y'), 'a:y', 'who was connected stays');
});

/** What comes back, or what has come until the connection ended. */
function heard(socket: net.Socket, word: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.removeAllListeners('data').on('data', (data) => {
      text += data;
      if (text.length >= word.length + 2) resolve(text);
    });
    socket.on('close', () => resolve(text));
    socket.write(word);
  });
}

t.test(
  'DNS under load: what does not lead elsewhere goes on as it was',
  { timeout: 60_000 },
  async (t) => {
    const dns = await DnsServer.open();
    t.teardown(() => dns.close());
    dns.host('moving.test', ['127.0.0.1'], 1);
    const origins = await Promise.all(['a', 'b', 'c'].map((name) => answering(t, name)));
    const root = mkdtempSync(join(tmpdir(), 'headgate-dns-'));
    t.teardown(() => rmSync(root, { recursive: true }));
    writeFileSync(join(root, 'page'), 'x'.repeat(100_000));
    const endpoints = origins.map((address) => `"${address}"`).join(', ');
    const loaded = loadConfig(`workers: 1
log: { level: silent }
listeners:
  web:
    bind: "127.0.0.1:0"
    http: { routes: [{ match: { path: /page }, files: { root: ${root} } }, { upstream: still }] }
  other: { bind: "127.0.0.1:0", tcp: { upstream: moving } }
upstreams:
  still: { endpoints: [${endpoints}] }
  moving: { endpoints: ["moving.test.:1"] }`);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const discovery = { servers: [dns.address], families: ['inet' as const] };
    const supervisor = await Supervisor.start(loaded.config, { discovery });
    t.teardown(() => supervisor.close());
    const url = `http://${supervisor.addresses.find(({ listener }) => listener === 'web')!.address}`;
    const ask = async (path: string) => await (await fetch(`${url}${path}`)).text();
    await ask('/page');

    const answers = new Set<string>();
    for (const last of [2, 3, 4]) {
      dns.host('moving.test', [`127.0.0.${last}`], 1);
      const leadsTo = () => supervisor.statistics().upstreams[1]!.endpoints[0]!.address;
      await until(10_000, 'it moves', () => leadsTo() === `127.0.0.${last}:1`);
      // The worker has heard of it by the second one.
      await ask('/page');
      await ask('/page');
      answers.add(await ask('/'));
    }
    t.same([...answers].sort(), ['a', 'b', 'c'], 'each of them had its turn');
  },
);

/** Says its name. @returns its address */
async function answering(t: Test, name: string): Promise<string> {
  const server = http.createServer((_, response) => response.end(name));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

t.test(
  'DNS under load: who is met under another name is met anew',
  { timeout: 60_000 },
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'headgate-dns-'));
    t.teardown(() => rmSync(directory, { recursive: true }));
    const kit = new CertificateKit(directory);
    kit.issue('app', { names: ['DNS:a.test', 'DNS:b.test'] });
    const origin = https.createServer(
      { cert: kit.text('app.pem'), key: kit.text('app.key') },
      (request, response) => response.end((request.socket as TLSSocket).servername),
    );
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      origin.closeAllConnections();
      origin.close();
    });
    const { port } = origin.address() as net.AddressInfo;
    const dns = await DnsServer.open();
    t.teardown(() => dns.close());
    dns.host('a.test', ['127.0.0.1'], 1);
    dns.host('b.test', ['127.0.0.1'], 1);
    const loaded = loadConfig(`workers: 1
log: { level: silent }
listeners: { web: { bind: "127.0.0.1:0", http: { routes: [{ upstream: app }] } } }
upstreams: { app: { endpoints: ["a.test.:${port}", "b.test.:${port}"], tls: { verify: false } } }`);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const discovery = { servers: [dns.address], families: ['inet' as const] };
    const supervisor = await Supervisor.start(loaded.config, { discovery });
    t.teardown(() => supervisor.close());
    const ask = async () => {
      const reply = await fetch(`http://${supervisor.addresses[0]!.address}/`);
      return reply.text();
    };
    t.equal(await ask(), 'a.test');
    dns.host('a.test', ['127.0.0.1', '127.0.0.9'], 1);
    const count = () => supervisor.statistics().upstreams[0]!.endpoints.length;
    await until(10_000, 'another address', () => count() === 2);
    t.equal(await ask(), 'a.test', 'on the connection that is there');
    dns.host('a.test', ['127.0.0.9'], 1);
    // Nobody is there; the address that stays is b.test's alone.
    await until(10_000, 'the other name', async () => (await ask()) === 'b.test');
  },
);
