// What it costs those who are copied that their bytes go somewhere else as well: scenarios of a proxy that copies and one
// that does not, and how much of what passed was taken for the copy.
import { runIperf3, startIperf3Server } from './load/iperf3.js';
import { startOrigin } from './load/origin.js';
import { runWrk } from './load/wrk.js';
import { freePort, loopback } from './loopback.js';
import { missingProgram, ratio, whileMeasuringCpu } from './measuring.js';
import type { Peer } from './peers/peer.js';
import type { Child } from './process.js';
import type { Conditions, Scenario } from './scenario.js';

const warmUpSeconds = 1;
const wrkConnections = 64;
/** Well below what the machine can do without a copy, as links are. */
const pacedGbit = 4;

/** A proxy in front of an upstream. */
export interface Copying extends AsyncDisposable {
  readonly port: number;
  readonly child: Child;
  /** What it has counted so far. */
  copies(): Promise<Copies>;
}

export interface Copies {
  /** Bytes of connections, and those of them that were taken for the copy. */
  readonly passedBytes: number;
  readonly copiedBytes: number;
  /** Copies that were begun, and those that did not get everything. */
  readonly begun: number;
  readonly cut: number;
}

export type StartCopying = (
  peer: Peer,
  kind: 'tcp' | 'http',
  upstreamPort: number,
  conditions: Conditions,
) => Promise<Copying>;

/** @param copied what the column of the part that was copied is called */
export function copyingScenarios(start: StartCopying, copied: string): Scenario[] {
  return [
    bulk('paced', `Bulk transfer at ${pacedGbit} Gbit/s, 1 stream`, start, copied, pacedGbit),
    bulk('bulk', 'Bulk transfer, as fast as can be, 1 stream', start, copied),
    requests('requests', 'Small requests over TCP', 'tcp', start, copied),
    requests('http', 'Small requests over HTTP', 'http', start, copied),
  ];
}

function bulk(
  name: string,
  title: string,
  start: StartCopying,
  copied: string,
  gbitPerSecond?: number,
): Scenario {
  return {
    name,
    title,
    metrics: [
      // As fast as can be, the copy takes processor time that the original then lacks: no target.
      {
        key: 'gbitPerSecond',
        title: 'Gbit/s',
        digits: 2,
        ...(gbitPerSecond !== undefined && { target: ratio('at least', 0.95) }),
      },
      { key: 'cpuSecondsPerGb', title: 'CPU s/GB', digits: 3 },
      { key: 'copiedPart', title: `${copied}, part of the bytes`, digits: 2 },
    ],
    missing: () => missingProgram('iperf3'),
    async measure(peer, conditions) {
      const { cpus, seconds } = conditions;
      const upstreamPort = await freePort();
      await using server = await startIperf3Server(upstreamPort, cpus.load);
      await using proxy = await start(peer, 'tcp', upstreamPort, conditions);
      const load = { port: proxy.port, streams: 1, cpus: cpus.load, gbitPerSecond };
      await runIperf3({ ...load, seconds: warmUpSeconds });
      const { result, cpuSeconds, copies } = await whileCopying(proxy, () =>
        runIperf3({ ...load, seconds }),
      );
      return {
        values: {
          gbitPerSecond: (result.bytes * 8) / result.seconds / 1e9,
          cpuSecondsPerGb: cpuSeconds / (result.bytes / 1e9),
          copiedPart: copies.copiedBytes / copies.passedBytes,
        },
        commands: [server.commandLine, proxy.child.commandLine, result.commandLine],
      };
    },
  };
}

function requests(
  name: string,
  title: string,
  kind: 'tcp' | 'http',
  start: StartCopying,
  copied: string,
): Scenario {
  return {
    name,
    title: `${title}, ${wrkConnections} keep-alive connections`,
    metrics: [
      { key: 'perSecond', title: 'requests/s', digits: 0 },
      { key: 'cpuUs', title: 'CPU µs', digits: 2 },
      { key: 'p99Us', title: 'p99 µs', digits: 0 },
      { key: 'wholePart', title: `${copied} whole`, digits: 2 },
    ],
    missing: () => missingProgram('wrk', 'nginx'),
    async measure(peer, conditions) {
      const { cpus, directory, seconds } = conditions;
      const upstreamPort = await freePort();
      const origin = { keepAlive: true, directory, cpus: cpus.load };
      await using upstream = await startOrigin({ ...origin, port: upstreamPort });
      await using proxy = await start(peer, kind, upstreamPort, conditions);
      const load = { port: proxy.port, connections: wrkConnections, cpus: cpus.load };
      await runWrk({ ...load, seconds: warmUpSeconds });
      const { result, cpuSeconds, copies } = await whileCopying(proxy, () =>
        runWrk({ ...load, seconds }),
      );
      const { perSecond, p99Us, count } = result;
      return {
        values: {
          perSecond,
          cpuUs: (cpuSeconds / count) * 1e6,
          p99Us,
          wholePart: copies.begun === 0 ? 0 : 1 - copies.cut / copies.begun,
        },
        commands: [upstream.commandLine, proxy.child.commandLine, result.commandLine],
      };
    },
  };
}

/** Runs a load. @returns what was copied meanwhile, besides */
async function whileCopying<T>(
  proxy: Copying,
  load: () => Promise<T>,
): Promise<{ result: T; cpuSeconds: number; copies: Copies }> {
  const before = await proxy.copies();
  const measured = await whileMeasuringCpu(proxy.child, load);
  const after = await proxy.copies();
  const copies = {
    passedBytes: after.passedBytes - before.passedBytes,
    copiedBytes: after.copiedBytes - before.copiedBytes,
    begun: after.begun - before.begun,
    cut: after.cut - before.cut,
  };
  return { ...measured, copies };
}

/** The page of metrics of a proxy whose admin endpoint is at this port of loopback. */
export async function metricsPage(adminPort: number): Promise<string> {
  return (await fetch(`http://${loopback}:${adminPort}/metrics`)).text();
}

/** Adds up the samples that fit; their value is what the expression captures. */
export function sumOf(page: string, samples: RegExp): number {
  return [...page.matchAll(samples)].reduce((sum, [, value]) => sum + Number(value), 0);
}
