// What a PROXY header to an endpoint says besides addresses, and what a check begins with.
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import {
  encodeProxySsl,
  findTlv,
  ProxyHeader,
  ProxySslType,
  ProxyTlvType,
  parseProxyHeader,
  readProxySsl,
  writeProxyV2,
} from '#src/proxy/tcp/index.js';
import { until, within } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { freePort } from '#test/support/peers/address.js';
import { Origin } from '#test/support/peers/origin.js';
import { Peer } from '#test/support/peers/peer.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { Program, runProgram } from '#test/support/programs/program.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';
import { hello, serverName } from '../proxy/tcp/hello-builder.js';

const timeout = { timeout: 20_000 };
const WAIT_MS = 5_000;
const HEADER_BYTES_MAX = 2048;
const named = hello({ extensions: [serverName('db.example.com')] });
const everything = { version: 'v2', tlvs: ['authority', 'alpn', 'ssl', 'unique_id'], crc32c: true };

async function receiveHeader(peer: Peer): Promise<{ header: ProxyHeader; bytes: Buffer }> {
  const header = new ProxyHeader();
  let bytes = Buffer.alloc(0);
  for (;;) {
    bytes = Buffer.concat([bytes, await within(WAIT_MS, 'a PROXY header', peer.receive(1))]);
    const result = parseProxyHeader(bytes, 0, bytes.length, header, HEADER_BYTES_MAX);
    if (result < 0) throw new Error(`rejection ${-result}: ${bytes.toString('latin1')}`);
    if (result > 0) return { header, bytes };
  }
}

async function chain(t: Test, send: unknown, { accepts = false, routes = true } = {}) {
  const origin = await Origin.listen('127.0.0.1:0');
  t.teardown(() => origin.close());
  const { headgate, finish } = await startConfigured(t, {
    listeners: {
      in: {
        bind: '127.0.0.1:0',
        ...(accepts && { accept_proxy_protocol: { from: ['127.0.0.0/8'] } }),
        tcp: routes ? { routes: [{ sni: '*', upstream: 'one' }] } : { upstream: 'one' },
      },
    },
    upstreams: { one: { endpoints: [origin.address], send_proxy_protocol: send } },
  });
  const connect = async (...pieces: Buffer[]) => {
    const client = await Peer.connect(headgate.address);
    for (const piece of pieces) await client.send(piece);
    const upstream = await origin.accept(headgate.context);
    const { header, bytes } = await receiveHeader(upstream);
    t.same(await upstream.receive(named.length), named, 'then the stream, untouched');
    client.close();
    upstream.close();
    return { ...header, bytes };
  };
  return { headgate, finish, connect };
}

t.test('proxy TLVs: a server name, a name of its own, a checksum', timeout, async (t) => {
  const { headgate, finish, connect } = await chain(t, everything);
  const seen = new Set<string>();
  for (let round = 0; round < 3; round++) {
    const { tlvs, bytes } = await connect(named);
    t.same(
      tlvs.map(({ type }) => type),
      [ProxyTlvType.AUTHORITY, ProxyTlvType.UNIQUE_ID],
      'what nobody knows is left out',
    );
    t.equal(findTlv(tlvs, ProxyTlvType.AUTHORITY)!.toString(), 'db.example.com');
    seen.add(findTlv(tlvs, ProxyTlvType.UNIQUE_ID)!.toString());
    t.equal(bytes.at(-7), ProxyTlvType.CRC32C, 'the checksum, which the parser has verified');
  }
  t.equal(seen.size, 3);
  const lines = await headgate.flowsEnded(3);
  t.same(new Set(lines.map((line) => line.unique_id)), seen, 'the log calls them the same');
  await finish();
});

t.test('proxy TLVs: what a proxy in front said is passed on', timeout, async (t) => {
  const { headgate, finish, connect } = await chain(t, everything, { accepts: true });
  const endpoints = {
    source: { family: 'inet', host: '192.0.2.7', port: 5555 },
    destination: { family: 'inet', host: '198.51.100.9', port: 443 },
  } as const;
  const ssl = {
    client: 1,
    verify: 0,
    tlvs: [{ type: ProxySslType.VERSION, value: Buffer.from('TLSv1.3') }],
  };
  const into = Buffer.alloc(HEADER_BYTES_MAX);
  const length = writeProxyV2(into, endpoints, {
    tlvs: [
      { type: ProxyTlvType.AUTHORITY, value: Buffer.from('front.example.com') },
      { type: ProxyTlvType.ALPN, value: Buffer.from('postgresql') },
      { type: ProxyTlvType.SSL, value: encodeProxySsl(ssl) },
      { type: ProxyTlvType.UNIQUE_ID, value: Buffer.from('front-1') },
      { type: ProxyTlvType.AWS, value: Buffer.from('not asked for') },
    ],
  });
  const { endpoints: came, tlvs } = await connect(into.subarray(0, length), named);
  t.match(came, endpoints);
  t.equal(tlvs.length, 4);
  t.equal(findTlv(tlvs, ProxyTlvType.AUTHORITY)!.toString(), 'front.example.com');
  t.equal(findTlv(tlvs, ProxyTlvType.ALPN)!.toString(), 'postgresql');
  t.equal(findTlv(tlvs, ProxyTlvType.UNIQUE_ID)!.toString(), 'front-1');
  t.same(readProxySsl(findTlv(tlvs, ProxyTlvType.SSL)!), ssl);
  const [line] = await headgate.flowsEnded(1);
  t.match(line, { unique_id: 'front-1' });
  await finish();
});

t.test('proxy TLVs: without a ClientHello to look at there is no name', timeout, async (t) => {
  const { finish, connect } = await chain(t, everything, { routes: false });
  const { tlvs } = await connect(named);
  t.same(
    tlvs.map(({ type }) => type),
    [ProxyTlvType.UNIQUE_ID],
  );
  await finish();
});

testWith(missingProgram(['haproxy']), 'proxy TLVs: HAProxy reads them', timeout, async (t) => {
  const port = await freePort();
  const file = `${temporaryDirectory(t)}/haproxy.cfg`;
  writeFileSync(
    file,
    `global
 nbthread 1
defaults
 timeout connect 5s
 timeout client 10s
 timeout server 10s
frontend back
 mode http
 bind 127.0.0.1:${port} accept-proxy
 http-request return status 200 content-type text/plain lf-string "%[fc_pp_authority] %[fc_pp_unique_id]"
`,
  );
  await runProgram(['haproxy', '-c', '-f', file], WAIT_MS);
  Program.start(t, ['haproxy', '-db', '-f', file]);
  const { headgate } = await startConfigured(t, {
    listeners: {
      in: {
        bind: '127.0.0.1:0',
        accept_proxy_protocol: { from: ['127.0.0.0/8'] },
        tcp: { upstream: 'one' },
      },
    },
    upstreams: { one: { endpoints: [`127.0.0.1:${port}`], send_proxy_protocol: everything } },
  });
  const into = Buffer.alloc(HEADER_BYTES_MAX);
  const tlvs = [{ type: ProxyTlvType.AUTHORITY, value: Buffer.from('db.example.com') }];
  const endpoints = {
    source: { family: 'inet', host: '192.0.2.7', port: 5555 },
    destination: { family: 'inet', host: '198.51.100.9', port: 443 },
  } as const;
  const header = into.subarray(0, writeProxyV2(into, endpoints, { tlvs }));
  let answer = '';
  await until(WAIT_MS, 'haproxy answers', async () => {
    const [host, at] = headgate.address.split(':') as [string, string];
    const client = net.connect(Number(at), host);
    client.on('error', () => {});
    client.write(header);
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    answer = await text(client).catch(() => '');
    return answer !== '';
  });
  t.match(answer.split('\r\n\r\n')[1], /^db\.example\.com \w+-\w+-0-\d+$/);
});

for (const [version, check, expected] of [
  ['v1', undefined, { version: 1, isLocal: false, endpoints: undefined }],
  ['v2', undefined, { version: 2, isLocal: true, endpoints: undefined }],
  ['v1', 'v2', { version: 2, isLocal: true, endpoints: undefined }],
  [undefined, 'v2', { version: 2, isLocal: true, endpoints: undefined }],
] as const) {
  const name = `proxy TLVs: a check of an upstream with ${version} begins with ${check ?? version}`;
  t.test(name, timeout, async (t) => {
    const origin = await Origin.listen('127.0.0.1:0');
    t.teardown(() => origin.close());
    await startConfigured(t, {
      listeners: { in: { bind: '127.0.0.1:0', tcp: { upstream: 'one' } } },
      upstreams: {
        one: {
          endpoints: [origin.address],
          ...(version && { send_proxy_protocol: version }),
          health: { active: { http: '/healthz', ...(check && { send_proxy_protocol: check }) } },
        },
      },
    });
    const asked = await origin.accept(() => 'no check came');
    const { header } = await receiveHeader(asked);
    t.match(header, expected);
    t.match((await asked.receive(12)).toString(), /^GET \/healthz/, 'then the request');
    asked.close();
  });
}

t.test('proxy TLVs: a check may go without', timeout, async (t) => {
  const origin = await Origin.listen('127.0.0.1:0');
  t.teardown(() => origin.close());
  await startConfigured(t, {
    listeners: { in: { bind: '127.0.0.1:0', tcp: { upstream: 'one' } } },
    upstreams: {
      one: {
        endpoints: [origin.address],
        send_proxy_protocol: 'v2',
        health: { active: { http: '/healthz', send_proxy_protocol: 'off' } },
      },
    },
  });
  const asked = await origin.accept(() => 'no check came');
  t.match((await asked.receive(12)).toString(), /^GET \/healthz/);
  asked.close();
});
