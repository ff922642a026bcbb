// TCP forwarding: how much a proxy moves, how fast it answers, and what that costs it in processor time and memory.
import { setTimeout as delay } from 'node:timers/promises';
import { IdleConnections, Sink } from './load/idle.js';
import { runIperf3, startIperf3Server } from './load/iperf3.js';
import { startOrigin } from './load/origin.js';
import { runWrk } from './load/wrk.js';
import { freePort } from './loopback.js';
import { missingProgram, ratio, whileMeasuringCpu } from './measuring.js';
import { tcpPeers } from './peers/index.js';
import type { Peer } from './peers/peer.js';
import type { Conditions, Measurement, Scenario } from './scenario.js';
import { runSuite } from './suite.js';
import { memoryOf, openFilesMax } from './usage.js';

/** V8 compiles for three seconds what a proxy of ours runs. */
const warmUpSeconds = 3;
const wrkConnections = 64;

const idleConnections = 5_000;
/** Opened before the first look at memory and held, so that what is allocated once does not count. */
const idleWarmUpConnections = 100;
/** For timers and garbage collections that follow a burst of connections; nothing is forced. */
const idleSettleMs = 2_000;
/** HAProxy wants 2.5 files a connection; the others, and this process with both ends, 2. */
const idleOpenFiles = (idleConnections + idleWarmUpConnections) * 2.5 + 200;

const scenarios: readonly Scenario[] = [
  bulk('bulk1', 1),
  bulk('bulk8', 8),
  requests('requests', 1),
  requests('hops', 3),
  connections(),
  idle(),
];

export function run(args: string[]): Promise<number> {
  return runSuite({ name: 'l4', scenarios, peers: tcpPeers, references: ['haproxy'] }, args);
}

function bulk(name: string, streams: number): Scenario {
  return {
    name,
    title: `Bulk transfer, ${streams === 1 ? '1 stream' : `${streams} streams`}`,
    metrics: [
      { key: 'gbitPerSecond', title: 'Gbit/s', digits: 2, target: ratio('at least', 1) },
      { key: 'cpuSecondsPerGb', title: 'CPU s/GB', digits: 3, target: ratio('at most', 1) },
      { key: 'cpuCores', title: 'cores busy', digits: 2 },
    ],
    missing: () => missingProgram('iperf3'),
    async measure(peer, conditions) {
      const { cpus, seconds } = conditions;
      const upstreamPort = await freePort();
      await using server = await startIperf3Server(upstreamPort, cpus.load);
      await using proxy = await startProxy(peer, upstreamPort, conditions);
      const load = { port: proxy.port, streams, cpus: cpus.load };
      await runIperf3({ ...load, seconds: warmUpSeconds });

      const { result, cpuSeconds } = await whileMeasuringCpu(proxy.child, () =>
        runIperf3({ ...load, seconds }),
      );
      return {
        values: {
          gbitPerSecond: (result.bytes * 8) / result.seconds / 1e9,
          cpuSecondsPerGb: cpuSeconds / (result.bytes / 1e9),
          cpuCores: cpuSeconds / result.seconds,
        },
        commands: [server.commandLine, proxy.child.commandLine, result.commandLine],
      };
    },
  };
}

/**
 * @param hops times that a request passes the proxy on its way to the upstream. With one, and two processors, wrk and
 *   the upstream share one of them and are what limits the rate; with three it is the proxy
 */
function requests(name: string, hops: number): Scenario {
  return {
    name,
    title: `Small requests${hops === 1 ? '' : `, ${hops} times through the proxy`}, ${wrkConnections} keep-alive connections`,
    metrics: [
      { key: 'perSecond', title: 'requests/s', digits: 0, target: ratio('at least', 1.05) },
      { key: 'cpuUs', title: 'CPU µs', digits: 2, target: ratio('at most', 0.95) },
      { key: 'p99Us', title: 'p99 µs', digits: 0, target: ratio('at most', 1.1) },
      { key: 'p50Us', title: 'p50 µs', digits: 0 },
      { key: 'cpuCores', title: 'cores busy', digits: 2 },
    ],
    missing: () => missingProgram('wrk', 'nginx'),
    measure: (peer, conditions) => measureWrk(peer, conditions, { close: false, hops }),
  };
}

function connections(): Scenario {
  return {
    name: 'connections',
    title: `New connections, one request each, ${wrkConnections} at a time`,
    metrics: [
      { key: 'perSecond', title: 'connections/s', digits: 0, target: ratio('at least', 1) },
      { key: 'cpuUs', title: 'CPU µs', digits: 2, target: ratio('at most', 1) },
      { key: 'p99Us', title: 'p99 µs', digits: 0 },
      { key: 'cpuCores', title: 'cores busy', digits: 2 },
    ],
    missing: () => missingProgram('wrk', 'nginx'),
    measure: (peer, conditions) => measureWrk(peer, conditions, { close: true, hops: 1 }),
  };
}

function idle(): Scenario {
  return {
    name: 'idle',
    title: `Memory of an idle connection, ${idleConnections.toLocaleString('en-US')} open`,
    metrics: [
      {
        key: 'pssKib',
        title: 'KiB (Pss)',
        digits: 2,
        target: { bound: 'at most', value: 3, of: 'number' },
      },
      { key: 'rssKib', title: 'KiB (Rss)', digits: 2 },
    ],
    async missing() {
      const max = openFilesMax();
      if (max >= idleOpenFiles) return null;
      return `needs ${idleOpenFiles} open files, the limit is ${max} (ulimit -Hn)`;
    },
    measure: measureIdle,
  };
}

/** Requests through a proxy; with `close` each on a connection of its own, closed by the upstream. */
async function measureWrk(
  peer: Peer,
  conditions: Conditions,
  { close, hops }: { close: boolean; hops: number },
): Promise<Measurement> {
  const { cpus, directory, seconds } = conditions;
  const upstreamPort = await freePort();
  await using origin = await startOrigin({
    port: upstreamPort,
    keepAlive: !close,
    directory,
    cpus: cpus.load,
  });
  await using proxy = await startProxy(peer, upstreamPort, conditions, hops);
  const load = { port: proxy.port, connections: wrkConnections, close, cpus: cpus.load };
  await runWrk({ ...load, seconds: warmUpSeconds });

  const { result, cpuSeconds } = await whileMeasuringCpu(proxy.child, () =>
    runWrk({ ...load, seconds }),
  );
  const { perSecond, p50Us, p99Us, count } = result;
  return {
    values: {
      perSecond,
      cpuUs: (cpuSeconds / count) * 1e6,
      p99Us,
      p50Us,
      cpuCores: cpuSeconds / (count / perSecond),
    },
    commands: [origin.commandLine, proxy.child.commandLine, result.commandLine],
  };
}

async function measureIdle(peer: Peer, conditions: Conditions): Promise<Measurement> {
  await using sink = await Sink.start(await freePort());
  await using proxy = await startProxy(peer, sink.port, conditions);
  await using warm = await IdleConnections.open(proxy.port, idleWarmUpConnections);
  await delay(idleSettleMs);
  const before = memoryOf(proxy.child.pid);

  await using open = await IdleConnections.open(proxy.port, idleConnections);
  await delay(idleSettleMs);
  const after = memoryOf(proxy.child.pid);

  proxy.child.assertRunning();
  const lost = open.lost + warm.lost;
  if (lost > 0) throw new Error(`${lost} idle connections were closed`);
  const perConnectionKib = (bytes: number) => bytes / 1024 / idleConnections;
  return {
    values: {
      pssKib: perConnectionKib(after.pssBytes - before.pssBytes),
      rssKib: perConnectionKib(after.rssBytes - before.rssBytes),
    },
    commands: [proxy.child.commandLine],
  };
}

async function startProxy(
  peer: Peer,
  upstreamPort: number,
  { directory, cpus }: Conditions,
  hops = 1,
) {
  const port = await freePort();
  const innerPorts = await Promise.all(Array.from({ length: hops - 1 }, freePort));
  const child = await peer.startTcp!({
    listenPort: port,
    innerPorts,
    upstreamPort,
    directory,
    cpus: cpus.proxy,
  });
  return { port, child, [Symbol.asyncDispose]: () => child.stop() };
}
