// Headgate as a forward proxy: curl -x, http-proxy-agent and https-proxy-agent as clients.
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { HttpProxyAgent } from 'http-proxy-agent';
import { HttpsProxyAgent } from 'https-proxy-agent';
import t, { type Test } from 'tap';
import { ByteStream } from '#test/support/bytes.js';
import { type Answer, bodyOf, request } from '#test/support/http/http-rig.js';
import { findProgram, missingProgram, testWith } from '#test/support/machine/capability.js';
import { type Configured, startConfigured } from '#test/support/programs/configured.js';
import { runProgram } from '#test/support/programs/program.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';
import { CertificateKit } from '#test/support/tls/certificates.js';

const timeout = { timeout: 60_000 };
const large = new ByteStream(5).slice(0, 3_000_000);

/** Says what it was asked; bodies come back. */
const mirror: http.RequestListener = async (request, response) => {
  const body = await bodyOf(request);
  const { method, url, headers } = request;
  if (body.length > 0) response.end(body);
  else response.end(JSON.stringify({ method, url, headers }));
};

interface Gate {
  readonly configured: Configured;
  readonly proxy: string;
  readonly origin: http.Server;
  /** Address of the origin. */
  readonly address: string;
  readonly port: number;
}

/**
 * @param allow what the route's `forward` allows, by the origin's port
 * @param resolvesTo where names below a wildcard may lead
 */
async function startGate(
  t: Test,
  allow: (port: number) => string[],
  origin = http.createServer(mirror),
  route: object = {},
  resolvesTo?: string[],
): Promise<Gate> {
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    origin.closeAllConnections();
    origin.close();
  });
  const { port } = origin.address() as net.AddressInfo;
  const forward = { allow: allow(port), ...(resolvesTo && { resolves_to: resolvesTo }) };
  const routes = [{ name: 'gate', forward, ...route }];
  const configured = await startConfigured(t, {
    admin: { bind: '127.0.0.1:0' },
    listeners: { gate: { bind: '127.0.0.1:0', http: { forwarded: 'off', routes } } },
  });
  const proxy = `http://${configured.headgate.address}`;
  return { configured, proxy, origin, address: `127.0.0.1:${port}`, port };
}

async function finish({ configured, origin }: Gate): Promise<void> {
  origin.closeAllConnections();
  await configured.finish();
}

function answered({ status, body }: Answer) {
  return { status, ...(JSON.parse(`${body}`) as { url: string; headers: object }) };
}

testWith(missingProgram(['curl']), 'http forward: curl -x', timeout, async (t) => {
  const gate = await startGate(t, (port) => [`127.0.0.0/8:${port}`, `localhost:${port}`]);
  const run = async (...args: string[]) => {
    const words = [findProgram('curl')!, '--silent', '--max-time', '15', '-x', gate.proxy];
    return runProgram([...words, ...args], 20_000);
  };
  const curl = async (...args: string[]) => `${(await run(...args)).stdout}`;
  const status = ['-o', '/dev/null', '-w', '%{http_code} %{http_connect}'];
  const plain = JSON.parse(await curl(`http://${gate.address}/a?b`));
  t.equal(plain.url, '/a?b', 'in origin form');
  t.equal(plain.headers.host, gate.address);
  t.notOk('proxy-connection' in plain.headers);
  t.equal(plain.headers.via, '1.1 headgate');
  t.equal(JSON.parse(await curl(`http://localhost:${gate.port}/n`)).url, '/n', 'by name');
  t.equal(await curl(...status, '-p', `http://${gate.address}/`), '200 200', 'CONNECT');
  t.equal(await curl(...status, '-p', `http://localhost:${gate.port}/`), '200 200', 'by name');
  t.equal(await curl(...status, `http://127.0.0.1:1/`), '403 000');
  // 56: CURLE_RECV_ERROR, what curl makes of a proxy's refusal.
  await t.rejects(run(...status, '-p', 'http://127.0.0.1:1/'), {
    message: /exit 56[\s\S]*000 403/,
  });
  const other = `http://other.example:${gate.port}/`;
  await t.rejects(run(...status, '-p', other), { message: /exit 56[\s\S]*000 403/ });
  await finish(gate);
});

// RFC 6761 §6.3: names below localhost lead to this machine, whoever is asked.
testWith(missingProgram(['curl']), 'http forward: names below a wildcard', timeout, async (t) => {
  const gate = await startGate(t, (port) => [`*.localhost:${port}`], undefined, {}, [
    '127.0.0.0/8',
  ]);
  const url = `http://a.b.localhost:${gate.port}/x`;
  const agent = new HttpProxyAgent(gate.proxy);
  for (let round = 0; round < 3; round++) {
    const { status, url: seen } = answered(await request(url, { agent }));
    t.strictSame([status, seen], [200, '/x']);
  }
  const many = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      request(`http://n${index % 10}.localhost:${gate.port}/`, { agent }),
    ),
  );
  t.ok(many.every(({ status }) => status === 200));
  const words = [findProgram('curl')!, '--silent', '--max-time', '15', '-x', gate.proxy, '-p'];
  const status = ['-o', '/dev/null', '-w', '%{http_code} %{http_connect}'];
  const tunnelled = await runProgram([...words, ...status, url], 20_000);
  t.equal(`${tunnelled.stdout}`, '200 200', 'CONNECT');
  for (const target of [`localhost:${gate.port}`, 'a.localhost:1', `127.0.0.1:${gate.port}`]) {
    t.equal((await request(`http://${target}/`, { agent })).status, 403, target);
  }
  agent.destroy();
  await finish(gate);
});

t.test('http forward: a name that leads to this machine is no hole', timeout, async (t) => {
  const gate = await startGate(t, () => ['*:*']);
  const agent = new HttpProxyAgent(gate.proxy);
  const answer = await request(`http://a.localhost:${gate.port}/`, { agent });
  t.equal(answer.status, 502);
  t.equal(answer.headers['proxy-status'], 'headgate; error=destination_ip_prohibited');
  const direct = await request(`http://${gate.address}/`, { agent });
  t.equal(direct.status, 403, 'a wildcard is for names');
  agent.destroy();
  await finish(gate);
});

t.test('http forward: http-proxy-agent', timeout, async (t) => {
  const gate = await startGate(t, (port) => [`127.0.0.1:${port}`]);
  const agent = new HttpProxyAgent(gate.proxy, { keepAlive: true });
  const url = `http://${gate.address}/x?y=1`;
  for (let round = 0; round < 3; round++) {
    const { status, url: seen } = answered(await request(url, { agent }));
    t.strictSame([status, seen], [200, '/x?y=1']);
  }
  const echoed = await request(url, { agent, method: 'POST' }, large);
  t.ok(echoed.body.equals(large), 'a body, byte for byte');
  const denied = await request(`http://127.0.0.1:1/`, { agent });
  t.equal(denied.status, 403);
  t.equal(denied.headers['proxy-status'], 'headgate; error=http_request_denied');
  const direct = await request(`${gate.proxy}/`);
  t.equal(direct.status, 403, 'a request that is for no proxy');
  agent.destroy();
  await finish(gate);
});

testWith(missingProgram(['openssl']), 'http forward: https-proxy-agent', timeout, async (t) => {
  const kit = new CertificateKit(temporaryDirectory(t));
  kit.issue('origin', { names: ['IP:127.0.0.1', 'DNS:localhost'] });
  const ca = kit.text('origin.pem');
  const origin = https.createServer({ cert: ca, key: kit.text('origin.key') }, mirror);
  const gate = await startGate(t, (port) => [`127.0.0.1:${port}`], origin);
  const agent = new HttpsProxyAgent(gate.proxy);
  const answer = await new Promise<Buffer>((resolve, reject) => {
    const options = { method: 'POST', agent, ca };
    const sent = https.request(`https://${gate.address}/`, options, (response) => {
      bodyOf(response).then(resolve, reject);
    });
    sent.on('error', reject);
    sent.end(large);
  });
  t.ok(answer.equals(large));
  await finish(gate);
});

t.test(
  'http forward: bytes that come with CONNECT, half-close, nobody there',
  timeout,
  async (t) => {
    const gate = await startGate(t, (port) => [`127.0.0.1:${port}`, '127.0.0.1:1']);
    const { host, port } = new URL(gate.proxy);
    t.ok(host);
    const dial = async (text: string) => {
      const socket = net.connect(Number(port), '127.0.0.1');
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.end(text);
      await once(socket, 'close');
      return `${Buffer.concat(chunks)}`;
    };
    const inner = `GET /early HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n`;
    const connect = (to: string) => `CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`;
    const early = await dial(connect(gate.address) + inner);
    t.match(early, /^HTTP\/1.1 200 Connection established\r\n\r\nHTTP\/1.1 200 OK\r\n/);
    t.match(early, /"url":"\/early"/);
    t.match(await dial(connect('127.0.0.1:1')), /^HTTP\/1.1 502 /);
    t.match(await dial(connect('127.0.0.1:2')), /^HTTP\/1.1 403 /);
    await finish(gate);
  },
);
