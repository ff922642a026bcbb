// What a mirror costs those who are mirrored: Headgate without one, with a shadow that takes everything, with one
// that takes nothing.
import { runIperf3, startIperf3Server } from './load/iperf3.js';
import { startOrigin } from './load/origin.js';
import { type ShadowMode, startShadow } from './load/shadow.js';
import { runWrk } from './load/wrk.js';
import { freePort, loopback } from './loopback.js';
import { missingProgram, ratio, whileMeasuringCpu } from './measuring.js';
import { headgate, startConfigured } from './peers/headgate.js';
import type { Peer } from './peers/peer.js';
import type { Child } from './process.js';
import type { Conditions, Measurement, Scenario } from './scenario.js';
import { runSuite } from './suite.js';

const warmUpSeconds = 1;
const wrkConnections = 64;
/** Well below what the machine can do without a mirror, as links are. */
const pacedGbit = 4;

/** The subject is mirrored, and all is well; the others are what it is compared with. */
const { availability } = headgate;
const mirrored: Peer = { name: headgate.name, availability };
const unmirrored: Peer = { name: 'unmirrored', availability };
const stuck: Peer = { name: 'stuck-shadow', availability };

const scenarios: readonly Scenario[] = [
  bulk('paced', `Bulk transfer at ${pacedGbit} Gbit/s, 1 stream`, pacedGbit),
  bulk('bulk', 'Bulk transfer, as fast as can be, 1 stream'),
  requests('requests', 'Small requests over TCP', 'tcp'),
  requests('http', 'Small requests over HTTP', 'http'),
];

export function run(args: string[]): Promise<number> {
  const peers = [mirrored, unmirrored, stuck];
  return runSuite({ name: 'mirror', scenarios, peers, references: [unmirrored.name] }, args);
}

function bulk(name: string, title: string, gbitPerSecond?: number): Scenario {
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
      { key: 'mirroredPart', title: 'mirrored', digits: 2 },
    ],
    missing: () => missingProgram('iperf3'),
    async measure(peer, conditions) {
      const { cpus, seconds } = conditions;
      const upstreamPort = await freePort();
      await using server = await startIperf3Server(upstreamPort, cpus.load);
      await using proxy = await startMirroring(peer, 'tcp', upstreamPort, conditions);
      const load = { port: proxy.port, streams: 1, cpus: cpus.load, gbitPerSecond };
      await runIperf3({ ...load, seconds: warmUpSeconds });
      const before = await proxy.bytes();
      const { result, cpuSeconds } = await whileMeasuringCpu(proxy.child, () =>
        runIperf3({ ...load, seconds }),
      );
      const after = await proxy.bytes();
      return {
        values: {
          gbitPerSecond: (result.bytes * 8) / result.seconds / 1e9,
          cpuSecondsPerGb: cpuSeconds / (result.bytes / 1e9),
          mirroredPart: (after.mirrored - before.mirrored) / (after.up - before.up),
        },
        commands: [server.commandLine, proxy.child.commandLine, result.commandLine],
      };
    },
  };
}

function requests(name: string, title: string, kind: 'tcp' | 'http'): Scenario {
  return {
    name,
    title: `${title}, ${wrkConnections} keep-alive connections`,
    metrics: [
      { key: 'perSecond', title: 'requests/s', digits: 0 },
      { key: 'cpuUs', title: 'CPU µs', digits: 2 },
      { key: 'p99Us', title: 'p99 µs', digits: 0 },
      { key: 'mirroredPart', title: 'mirrored', digits: 2 },
    ],
    missing: () => missingProgram('wrk', 'nginx'),
    async measure(peer, conditions): Promise<Measurement> {
      const { cpus, directory, seconds } = conditions;
      const upstreamPort = await freePort();
      const origin = { keepAlive: true, directory, cpus: cpus.load };
      await using upstream = await startOrigin({ ...origin, port: upstreamPort });
      await using proxy = await startMirroring(peer, kind, upstreamPort, conditions);
      const load = { port: proxy.port, connections: wrkConnections, cpus: cpus.load };
      await runWrk({ ...load, seconds: warmUpSeconds });
      const before = await proxy.bytes();
      const { result, cpuSeconds } = await whileMeasuringCpu(proxy.child, () =>
        runWrk({ ...load, seconds }),
      );
      const after = await proxy.bytes();
      const { perSecond, p99Us, count } = result;
      return {
        values: {
          perSecond,
          cpuUs: (cpuSeconds / count) * 1e6,
          p99Us,
          mirroredPart: (after.mirrored - before.mirrored) / (after.up - before.up),
        },
        commands: [upstream.commandLine, proxy.child.commandLine, result.commandLine],
      };
    },
  };
}

interface Mirroring extends AsyncDisposable {
  readonly port: number;
  readonly child: Child;
  /** Bytes from clients so far, and those that were taken for the shadow. */
  bytes(): Promise<{ up: number; mirrored: number }>;
}

/** A proxy and, running whether it is told of it or not, its shadow. */
async function startMirroring(
  peer: Peer,
  kind: 'tcp' | 'http',
  upstreamPort: number,
  conditions: Conditions,
): Promise<Mirroring> {
  const { directory, cpus } = conditions;
  const [port, shadowPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const mode: ShadowMode = peer === stuck ? 'stuck' : 'fast';
  const shadow =
    kind === 'http' && mode === 'fast'
      ? await startOrigin({ port: shadowPort, keepAlive: true, directory, cpus: cpus.load })
      : await startShadow(shadowPort, mode, cpus.load);
  const mirror = peer === unmirrored ? '' : ', mirror: shadow';
  const configuration = `log: { access: false }
admin: { bind: "${loopback}:${adminPort}" }
listeners: { bench: { bind: "${loopback}:${port}", ${kind}: { upstream: origin${mirror} } } }
upstreams:
  origin: { endpoints: ["${loopback}:${upstreamPort}"] }
  shadow: { endpoints: ["${loopback}:${shadowPort}"] }
`;
  const child = await startConfigured(
    { listenPort: port, directory, cpus: cpus.proxy },
    configuration,
  );
  return {
    port,
    child,
    bytes: async () => {
      const page = await (await fetch(`http://${loopback}:${adminPort}/metrics`)).text();
      return {
        up: sumOf(page, /^headgate_bytes_total\{direction="up".*\} (.*)$/gm),
        mirrored: sumOf(page, /^headgate_mirror_bytes_total\{.*\} (.*)$/gm),
      };
    },
    async [Symbol.asyncDispose]() {
      await child.stop();
      await shadow.stop();
    },
  };
}

function sumOf(page: string, samples: RegExp): number {
  return [...page.matchAll(samples)].reduce((sum, [, value]) => sum + Number(value), 0);
}
