// Reverse proxying of HTTP/1.1: small requests, new connections, bodies in both directions, many routes, WebSocket.
import { rmSync, writeFileSync } from 'node:fs';
import { startOrigin } from './load/origin.js';
import { startUploadOrigin } from './load/upload-origin.js';
import { runWebSockets, startWebSocketEcho } from './load/websocket.js';
import { type Load, type Requests, runWrk, servicesScript, uploadScript } from './load/wrk.js';
import { freePort } from './loopback.js';
import { missingProgram, ratio, whileMeasuringCpu } from './measuring.js';
import { httpPeers } from './peers/index.js';
import type { AccessLog, Peer } from './peers/peer.js';
import type { Child } from './process.js';
import type { Conditions, Measurement, Metric, Scenario } from './scenario.js';
import { runSuite } from './suite.js';

const KiB = 2 ** 10;
const MiB = 2 ** 20;

/** V8 compiles for three seconds what a proxy of ours runs. */
const warmUpSeconds = 3;
const smallConnections = 64;
const services = 10_000;
const messageBytes = 128;

/** Bodies of these sizes, over so many connections: enough to keep a proxy busy, few enough to see each. */
const bodies = [
  { size: '64k', bytes: 64 * KiB, connections: 32 },
  { size: '1m', bytes: MiB, connections: 8 },
  { size: '100m', bytes: 100 * MiB, connections: 2 },
];

const perRequest = (title: string): Metric[] => [
  { key: 'perSecond', title: `${title}/s`, digits: 0, target: ratio('at least', 1) },
  { key: 'cpuUs', title: 'CPU µs', digits: 2, target: ratio('at most', 1) },
  { key: 'p99Us', title: 'p99 µs', digits: 0, target: ratio('at most', 1.1) },
  { key: 'p50Us', title: 'p50 µs', digits: 0 },
];

const perByte: Metric[] = [
  { key: 'gbitPerSecond', title: 'Gbit/s', digits: 2, target: ratio('at least', 1) },
  { key: 'cpuSecondsPerGb', title: 'CPU s/GB', digits: 3, target: ratio('at most', 1) },
  { key: 'perSecond', title: 'requests/s', digits: 1 },
];

const scenarios: readonly Scenario[] = [
  small('requests', `Small requests, ${smallConnections} keep-alive connections`, {}),
  small('connections', 'Small requests, each on a connection of its own to the proxy', {
    close: true,
  }),
  logged('combined'),
  logged('json'),
  ...bodies.flatMap(({ size, bytes, connections }) => [
    download(`down-${size}`, { bytes, connections, chunked: false }),
    upload(`up-${size}`, { bytes, connections, chunked: false }),
  ]),
  download('down-1m-chunked', { bytes: MiB, connections: 8, chunked: true }),
  upload('up-1m-chunked', { bytes: MiB, connections: 8, chunked: true }),
  routes(),
  webSocket(),
];

export function run(args: string[]): Promise<number> {
  const references = ['haproxy', 'nginx'];
  return runSuite({ name: 'l7', scenarios, peers: httpPeers, references }, args);
}

function small(name: string, title: string, load: Partial<Load>): Scenario {
  return {
    name,
    title,
    metrics: perRequest('requests'),
    missing: () => missingProgram('wrk', 'nginx'),
    measure: (peer, conditions) => measureSmall(peer, conditions, load, 0),
  };
}

/** Lines of nginx reach the file at once, ours within 50 ms: that is how each is used. */
function logged(format: AccessLog['format']): Scenario {
  return {
    name: `logged-${format}`,
    title: `Small requests, each with an access line in a file, ${format === 'json' ? 'JSON' : 'combined format'}`,
    excludes: ['haproxy', 'http-proxy-3'],
    metrics: perRequest('requests'),
    missing: () => missingProgram('wrk', 'nginx'),
    measure(peer, conditions) {
      const accessLog = { file: `${conditions.directory}/access-${peer.name}.log`, format };
      rmSync(accessLog.file, { force: true });
      return measureSmall(peer, conditions, {}, 0, accessLog);
    },
  };
}

function routes(): Scenario {
  return {
    name: 'routes',
    title: `Small requests to ${services.toLocaleString('en-US')} routes in turn`,
    excludes: ['http-proxy-3'],
    metrics: perRequest('requests'),
    missing: () => missingProgram('wrk', 'nginx'),
    measure(peer, conditions) {
      const script = `${conditions.directory}/services.lua`;
      writeFileSync(script, servicesScript(services));
      return measureSmall(peer, conditions, { script }, services);
    },
  };
}

interface Bodies {
  bytes: number;
  connections: number;
  chunked: boolean;
}

function download(name: string, { bytes, connections, chunked }: Bodies): Scenario {
  return {
    name,
    title: `Responses of ${describeBytes(bytes)}${chunked ? ', chunked' : ''}, ${connections} connections`,
    metrics: perByte,
    missing: () => missingProgram('wrk', 'nginx'),
    async measure(peer, conditions) {
      const { directory, cpus } = conditions;
      const upstreamPort = await freePort();
      await using origin = await startOrigin({
        port: upstreamPort,
        keepAlive: true,
        directory,
        cpus: cpus.load,
        fileBytes: [bytes],
      });
      await using proxy = await startProxy(peer, upstreamPort, conditions, 0);
      const path = `${chunked ? '/chunked' : ''}/file-${bytes}`;
      const load = { port: proxy.port, connections, path, cpus: cpus.load };
      return await measureBytes(
        bytes,
        origin,
        proxy.child,
        (seconds) => runWrk({ ...load, seconds }),
        conditions,
      );
    },
  };
}

function upload(name: string, { bytes, connections, chunked }: Bodies): Scenario {
  return {
    name,
    title: `Uploads of ${describeBytes(bytes)}${chunked ? ', chunked' : ''}, ${connections} connections`,
    metrics: perByte,
    missing: () => missingProgram('wrk'),
    async measure(peer, conditions) {
      const { directory, cpus } = conditions;
      const upstreamPort = await freePort();
      await using origin = await startUploadOrigin(upstreamPort, cpus.load);
      await using proxy = await startProxy(peer, upstreamPort, conditions, 0);
      const script = `${directory}/${name}.lua`;
      writeFileSync(script, uploadScript(bytes, { chunked }));
      const load = { port: proxy.port, connections, script, cpus: cpus.load };
      return await measureBytes(
        bytes,
        origin,
        proxy.child,
        (seconds) => runWrk({ ...load, seconds }),
        conditions,
      );
    },
  };
}

function webSocket(): Scenario {
  return {
    name: 'websocket',
    title: `WebSocket echo, messages of ${messageBytes} bytes, ${smallConnections} connections`,
    metrics: perRequest('messages'),
    missing: async () => null,
    async measure(peer, conditions) {
      const { seconds, cpus } = conditions;
      const upstreamPort = await freePort();
      await using origin = await startWebSocketEcho(upstreamPort, cpus.load);
      await using proxy = await startProxy(peer, upstreamPort, conditions, 0);
      const connections = smallConnections;
      const load = { port: proxy.port, connections, messageBytes, cpus: cpus.load };
      await runWebSockets({ ...load, seconds: warmUpSeconds });
      return await measureRequests(origin, proxy.child, () => runWebSockets({ ...load, seconds }));
    },
  };
}

async function measureSmall(
  peer: Peer,
  conditions: Conditions,
  how: Partial<Load>,
  routes: number,
  accessLog?: AccessLog,
): Promise<Measurement> {
  const { cpus, directory, seconds } = conditions;
  const upstreamPort = await freePort();
  await using origin = await startOrigin({
    port: upstreamPort,
    keepAlive: true,
    directory,
    cpus: cpus.load,
  });
  await using proxy = await startProxy(peer, upstreamPort, conditions, routes, accessLog);
  const load = { port: proxy.port, connections: smallConnections, cpus: cpus.load, ...how };
  await runWrk({ ...load, seconds: warmUpSeconds });
  return await measureRequests(origin, proxy.child, () => runWrk({ ...load, seconds }));
}

async function measureRequests(
  origin: Child,
  proxy: Child,
  load: () => Promise<Requests>,
): Promise<Measurement> {
  const { result, cpuSeconds } = await whileMeasuringCpu(proxy, load);
  const { perSecond, p50Us, p99Us, count, commandLine } = result;
  return {
    values: { perSecond, cpuUs: (cpuSeconds / count) * 1e6, p99Us, p50Us },
    commands: [origin.commandLine, proxy.commandLine, commandLine],
  };
}

async function measureBytes(
  bytes: number,
  origin: Child,
  proxy: Child,
  load: (seconds: number) => Promise<Requests>,
  { seconds }: Conditions,
): Promise<Measurement> {
  await load(warmUpSeconds);
  const { result, cpuSeconds } = await whileMeasuringCpu(proxy, () => load(seconds));
  const { perSecond, count, commandLine } = result;
  return {
    values: {
      gbitPerSecond: (bytes * perSecond * 8) / 1e9,
      cpuSecondsPerGb: cpuSeconds / ((bytes * count) / 1e9),
      perSecond,
    },
    commands: [origin.commandLine, proxy.commandLine, commandLine],
  };
}

async function startProxy(
  peer: Peer,
  upstreamPort: number,
  { directory, cpus }: Conditions,
  routes: number,
  accessLog?: AccessLog,
) {
  const port = await freePort();
  const child = await peer.startHttp!({
    listenPort: port,
    upstreamPort,
    directory,
    cpus: cpus.proxy,
    routes,
    accessLog,
  });
  return { port, child, [Symbol.asyncDispose]: () => child.stop() };
}

function describeBytes(bytes: number): string {
  return bytes < MiB ? `${bytes / KiB} KiB` : `${bytes / MiB} MiB`;
}
