// Runs where the kernel has TLS, started by kernel-tls.ts: each peer with TLS in userland and in the kernel, one transfer
// after the other, traced.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { release, tmpdir } from 'node:os';
import { connect, type TLSSocket } from 'node:tls';
import { certificateFor } from './load/certificate.js';
import { freePort, loopback } from './loopback.js';
import { missingProgram } from './measuring.js';
import { tlsPeers } from './peers/index.js';
import type { Peer } from './peers/peer.js';
import { killEverythingAtExit } from './process.js';
import { type Trace, traceCalls } from './tracing.js';

const MB = 1e6;
const bulkBytes = 64 * MB;
const warmUpBytes = 4 * MB;
const messages = 200;
const messageBytes = 100;
const timeoutMs = 60_000;

interface Scenario {
  readonly title: string;
  /** What the numbers are divided by, and how that is called. */
  readonly units: number;
  readonly unit: string;
  readonly run: (client: TLSSocket, upstream: Socket, bytes: number) => Promise<void>;
}

const scenarios: readonly Scenario[] = [
  {
    title: '64 MB to the client',
    units: bulkBytes / MB,
    unit: 'MB',
    run: (client, upstream, bytes) => send(upstream, client, bytes),
  },
  {
    title: '64 MB from the client',
    units: bulkBytes / MB,
    unit: 'MB',
    run: (client, upstream, bytes) => send(client, upstream, bytes),
  },
  {
    title: `${messages} questions of ${messageBytes} bytes, each with its answer`,
    units: messages,
    unit: 'question',
    async run(client, upstream) {
      const message = Buffer.alloc(messageBytes, 1);
      upstream.on('data', (chunk: Buffer) => upstream.write(chunk));
      for (let index = 0; index < messages; index++) {
        const answered = received(client, messageBytes);
        client.write(message);
        await answered;
      }
    },
  },
];

async function send(from: Socket, to: Socket, bytes: number): Promise<void> {
  const arrived = received(to, bytes);
  const chunk = Buffer.alloc(256 * 1024, 1);
  for (let left = bytes; left > 0; left -= chunk.length) {
    if (!from.write(chunk.subarray(0, Math.min(left, chunk.length)))) await once(from, 'drain');
  }
  await arrived;
}

function received(socket: Socket, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = bytes;
    const take = (chunk: Buffer) => {
      left -= chunk.length;
      if (left > 0) return;
      socket.off('data', take);
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => reject(new Error(`${left} bytes are missing`)), timeoutMs);
    socket.on('data', take);
  });
}

interface Row {
  readonly name: string;
  readonly kernel: string;
  readonly trace: Trace;
}

/** One peer, one scenario: a connection that has been warmed up, then the traced transfer over another. */
async function measure(
  peer: Peer,
  isKernel: boolean,
  scenario: Scenario,
  directory: string,
): Promise<Row> {
  const certificate = await certificateFor('ecdsa', directory);
  const server: Server = createServer({ noDelay: true });
  server.listen(0, loopback);
  await once(server, 'listening');
  const listenPort = await freePort();
  await using proxy = await peer.startTcp!({
    listenPort,
    upstreamPort: (server.address() as AddressInfo).port,
    directory,
    cpus: undefined,
    tls: { ...certificate, kernel: isKernel },
  });
  const transfer = async (bytes: number): Promise<void> => {
    const accepted = once(server, 'connection');
    const client = connect({ host: loopback, port: listenPort, rejectUnauthorized: false });
    await once(client, 'secureConnect');
    const [upstream] = (await accepted) as [Socket];
    for (const socket of [client, upstream]) socket.on('error', () => {});
    await scenario.run(client, upstream, bytes);
    client.destroy();
    upstream.destroy();
  };
  await transfer(warmUpBytes);
  const before = tlsSockets();
  const file = `${directory}/trace`;
  const trace = await traceCalls(proxy.pid, file, () => transfer(bulkBytes));
  const after = tlsSockets();
  server.close();
  const directions = [after.tx > before.tx ? 'sends' : '', after.rx > before.rx ? 'receives' : ''];
  return {
    name: peer.name,
    kernel: directions.filter((word) => word !== '').join(', ') || '–',
    trace,
  };
}

/** Sockets whose records the kernel has had so far. */
function tlsSockets(): { tx: number; rx: number } {
  const text = readFileSync('/proc/net/tls_stat', 'latin1');
  const count = (name: string) => Number(new RegExp(`${name}\\s+(\\d+)`).exec(text)?.[1] ?? 0);
  return { tx: count('TlsTxSw'), rx: count('TlsRxSw') };
}

function table({ title, unit, units }: Scenario, rows: readonly Row[]): string {
  const lines = rows.map(({ name, kernel, trace }) => {
    const each = [...trace.calls]
      .sort(([, one], [, other]) => other - one)
      .slice(0, 4)
      .map(([call, count]) => `${call} ${(count / units).toFixed(1)}`);
    const calls = (trace.total / units).toFixed(1);
    const bytes = Math.round(trace.bytes / units).toLocaleString('en-US');
    return `| ${name} | ${kernel} | ${calls} | ${bytes} | ${each.join(', ')} |`;
  });
  return [
    `#### ${title}`,
    '',
    `| | the kernel | calls a ${unit} | bytes read and written a ${unit} | most of them |`,
    '|---|---|---|---|---|',
    ...lines,
    '',
  ].join('\n');
}

const missing = await missingProgram('openssl');
if (missing !== null) throw new Error(missing);
killEverythingAtExit();
const directory = mkdtempSync(`${tmpdir()}/headgate-bench-`);
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
const peers: Peer[] = [];
const versions: string[] = [];
for (const peer of tlsPeers) {
  const availability = await peer.availability();
  if (!availability.available) continue;
  peers.push(peer);
  versions.push(`${peer.name} ${availability.version}`);
}
console.log(`Linux ${release()}, ${versions.join(', ')}; TLS 1.3, AES-128-GCM\n`);
for (const scenario of scenarios) {
  const rows: Row[] = [];
  for (const peer of peers) {
    rows.push(await measure(peer, false, scenario, directory));
    // HAProxy has no kernel TLS before 3.3.
    if (peer.name !== 'haproxy') rows.push(await measure(peer, true, scenario, directory));
  }
  console.log(table(scenario, rows));
}
