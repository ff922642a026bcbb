// TLS termination: handshakes, full and resumed, bulk through OpenSSL and through the kernel, small requests.
import { readFileSync } from 'node:fs';
import { certificateFor, type KeyKind } from './load/certificate.js';
import { endlessBytes, makeEndlessFile, runCurl } from './load/curl.js';
import { startOrigin } from './load/origin.js';
import { runHandshakes } from './load/s-time.js';
import { startUploadOrigin } from './load/upload-origin.js';
import { runWrk } from './load/wrk.js';
import { freePort } from './loopback.js';
import { missingProgram, ratio, whileMeasuringCpu } from './measuring.js';
import { tlsPeers } from './peers/index.js';
import type { Peer } from './peers/peer.js';
import type { Child } from './process.js';
import type { Conditions, Measurement, Metric, Scenario } from './scenario.js';
import { runSuite } from './suite.js';

const warmUpSeconds = 1;
/** Some thousands of handshakes a second: V8 has not compiled what they need after the first of them. */
const handshakeWarmUpSeconds = 3;
const connections = 64;
/** Each keeps one connection under way: enough for one thread to have always something to do. */
const handshakingClients = 4;

/** Any of `tls`, where the kernel has it; a module that is not loaded is not there. */
const upperProtocols = '/proc/sys/net/ipv4/tcp_available_ulp';

const handshakeMetrics: readonly Metric[] = [
  { key: 'perSecond', title: 'handshakes/s', digits: 0, target: ratio('at least', 1) },
  { key: 'cpuUs', title: 'CPU µs', digits: 1, target: ratio('at most', 1) },
  { key: 'cpuCores', title: 'cores busy', digits: 2 },
];

const requestMetrics: readonly Metric[] = [
  { key: 'perSecond', title: 'requests/s', digits: 0, target: ratio('at least', 1) },
  { key: 'cpuUs', title: 'CPU µs', digits: 2, target: ratio('at most', 1) },
  { key: 'p99Us', title: 'p99 µs', digits: 0 },
  { key: 'cpuCores', title: 'cores busy', digits: 2 },
];

const bulkMetrics: readonly Metric[] = [
  { key: 'gbitPerSecond', title: 'Gbit/s', digits: 2, target: ratio('at least', 0.95) },
  { key: 'cpuSecondsPerGb', title: 'CPU s/GB', digits: 3, target: ratio('at most', 1.1) },
  { key: 'cpuCores', title: 'cores busy', digits: 2 },
];

const scenarios: readonly Scenario[] = [
  handshakes('full-rsa', 'Full handshakes, TLS 1.3, RSA 2048', {
    keyKind: 'rsa',
    version: '1.3',
    resume: false,
  }),
  handshakes('full-ecdsa', 'Full handshakes, TLS 1.3, ECDSA P-256', {
    keyKind: 'ecdsa',
    version: '1.3',
    resume: false,
  }),
  handshakes('resumed', 'Resumed handshakes, TLS 1.3', {
    keyKind: 'ecdsa',
    version: '1.3',
    resume: true,
  }),
  handshakes('resumed-1.2', 'Resumed handshakes, TLS 1.2', {
    keyKind: 'ecdsa',
    version: '1.2',
    resume: true,
  }),
  requests(),
  download('bulk-down', 'Bulk to the client, 1 stream', { kernel: false }),
  upload('bulk-up', 'Bulk from the client, 1 stream', { kernel: false }),
  download('kernel-down', 'Bulk to the client, 1 stream, kernel TLS', { kernel: true }),
  upload('kernel-up', 'Bulk from the client, 1 stream, kernel TLS', { kernel: true }),
];

export function run(args: string[]): Promise<number> {
  return runSuite({ name: 'tls', scenarios, peers: tlsPeers, references: ['haproxy'] }, args);
}

/** One request on each connection, over connections to the upstream that are kept: what is left is the handshake. */
function handshakes(
  name: string,
  title: string,
  how: { keyKind: KeyKind; version: '1.2' | '1.3'; resume: boolean },
): Scenario {
  const { keyKind, ...kind } = how;
  return {
    name,
    title: `${title}, one request each, ${handshakingClients} at a time`,
    metrics: handshakeMetrics,
    missing: () => missingProgram('nginx', 'openssl'),
    measure(peer, conditions) {
      const load = { ...kind, clients: handshakingClients, cpus: conditions.cpus.load };
      return measureHttp(
        peer,
        conditions,
        { keyKind, warmUpSeconds: handshakeWarmUpSeconds },
        (port, seconds) => runHandshakes({ ...load, port, seconds }),
      );
    },
  };
}

function requests(): Scenario {
  return {
    name: 'requests',
    title: `Small requests, ${connections} keep-alive connections`,
    metrics: requestMetrics,
    missing: () => missingProgram('wrk', 'nginx', 'openssl'),
    measure: (peer, conditions) =>
      measureHttp(peer, conditions, { keyKind: 'ecdsa', warmUpSeconds }, (port, seconds) =>
        runWrk({ port, connections, seconds, tls: true, cpus: conditions.cpus.load }),
      ),
  };
}

interface Bulk {
  kernel: boolean;
}

function download(name: string, title: string, { kernel }: Bulk): Scenario {
  return {
    ...bulk(name, title, kernel),
    async measure(peer, conditions) {
      const { cpus, directory } = conditions;
      const port = await freePort();
      const fileBytes = [endlessBytes];
      const origin = { port, keepAlive: true, directory, cpus: cpus.load, fileBytes };
      await using upstream = await startOrigin(origin);
      return await measureBulk(peer, conditions, { upstream, port, kernel }, (port, seconds) =>
        runCurl({ port, path: `/file-${endlessBytes}`, seconds, cpus: cpus.load }),
      );
    },
  };
}

function upload(name: string, title: string, { kernel }: Bulk): Scenario {
  return {
    ...bulk(name, title, kernel),
    async measure(peer, conditions) {
      const { cpus, directory } = conditions;
      const port = await freePort();
      const file = `${directory}/endless`;
      makeEndlessFile(file);
      await using upstream = await startUploadOrigin(port, cpus.load);
      return await measureBulk(peer, conditions, { upstream, port, kernel }, (port, seconds) =>
        runCurl({ port, path: '/', upload: file, seconds, cpus: cpus.load }),
      );
    },
  };
}

function bulk(name: string, title: string, kernel: boolean): Omit<Scenario, 'measure'> {
  return {
    name,
    title,
    ...(kernel ? { excludes: ['haproxy'] } : {}),
    metrics: bulkMetrics,
    async missing() {
      if (kernel && !hasKernelTls()) {
        return `this kernel has no TLS (no "tls" in ${upperProtocols}; modprobe tls)`;
      }
      return missingProgram('nginx', 'openssl', 'curl');
    },
  };
}

function hasKernelTls(): boolean {
  return readFileSync(upperProtocols, 'utf8').trim().split(' ').includes('tls');
}

interface Load {
  count: number;
  perSecond: number;
  p99Us?: number;
  commandLine: string;
}

/** Requests over TLS through a reverse proxy whose connections to the upstream are kept. */
async function measureHttp(
  peer: Peer,
  conditions: Conditions,
  { keyKind, warmUpSeconds }: { keyKind: KeyKind; warmUpSeconds: number },
  load: (port: number, seconds: number) => Promise<Load>,
): Promise<Measurement> {
  const { cpus, directory, seconds } = conditions;
  const upstreamPort = await freePort();
  await using origin = await startOrigin({
    port: upstreamPort,
    keepAlive: true,
    directory,
    cpus: cpus.load,
  });
  const certificate = await certificateFor(keyKind, directory);
  const port = await freePort();
  await using proxy = await peer.startHttp!({
    listenPort: port,
    upstreamPort,
    directory,
    cpus: cpus.proxy,
    routes: 0,
    tls: { ...certificate, kernel: false },
  });
  await load(port, warmUpSeconds);

  const { result, cpuSeconds } = await whileMeasuringCpu(proxy, () => load(port, seconds));
  const { perSecond, count, p99Us = 0, commandLine } = result;
  return {
    values: {
      perSecond,
      cpuUs: (cpuSeconds / count) * 1e6,
      p99Us,
      cpuCores: cpuSeconds / (count / perSecond),
    },
    commands: [origin.commandLine, proxy.commandLine, commandLine],
  };
}

/** Bytes through a TCP proxy that terminates TLS. */
async function measureBulk(
  peer: Peer,
  conditions: Conditions,
  { upstream, port, kernel }: { upstream: Child; port: number; kernel: boolean },
  load: (port: number, seconds: number) => ReturnType<typeof runCurl>,
): Promise<Measurement> {
  const { cpus, directory, seconds } = conditions;
  const certificate = await certificateFor('ecdsa', directory);
  const listenPort = await freePort();
  await using proxy = await peer.startTcp!({
    listenPort,
    upstreamPort: port,
    directory,
    cpus: cpus.proxy,
    tls: { ...certificate, kernel },
  });
  await load(listenPort, warmUpSeconds);

  const { result, cpuSeconds } = await whileMeasuringCpu(proxy, () => load(listenPort, seconds));
  return {
    values: {
      gbitPerSecond: (result.bytes * 8) / result.seconds / 1e9,
      cpuSecondsPerGb: cpuSeconds / (result.bytes / 1e9),
      cpuCores: cpuSeconds / result.seconds,
    },
    commands: [upstream.commandLine, proxy.commandLine, result.commandLine],
  };
}
