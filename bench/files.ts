// Static files beside nginx: small ones, large ones, one of a gibibyte; in the clear and over TLS.
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificateFor } from './load/certificate.js';
import { runWrk } from './load/wrk.js';
import { freePort } from './loopback.js';
import { missingProgram, ratio, whileMeasuringCpu } from './measuring.js';
import { filePeers } from './peers/index.js';
import type { Peer } from './peers/peer.js';
import type { Conditions, Measurement, Metric, Scenario } from './scenario.js';
import { runSuite } from './suite.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
/** V8 compiles for three seconds what a proxy of ours runs. */
const warmUpSeconds = 3;
/** Headgate reads a file for every request while it is younger than three seconds; hardly any that is served is. */
const ripeMs = 4000;

interface Download {
  bytes: number;
  connections: number;
  tls: boolean;
  /** Of nginx' rate. */
  rate: number;
}

const sizes = [
  { name: '1k', bytes: KiB, connections: 64, rate: 0.9 },
  { name: '64k', bytes: 64 * KiB, connections: 32, rate: 1 },
  { name: '1m', bytes: MiB, connections: 8, rate: 1 },
  { name: '1g', bytes: GiB, connections: 2, rate: 1 },
] as const;

const scenarios: readonly Scenario[] = [false, true].flatMap((tls) =>
  sizes.map(({ name, ...how }) => scenario(tls ? `tls-${name}` : name, { ...how, tls })),
);

export function run(args: string[]): Promise<number> {
  return runSuite({ name: 'files', scenarios, peers: filePeers, references: ['nginx'] }, args);
}

function scenario(name: string, download: Download): Scenario {
  const { bytes, connections, tls } = download;
  return {
    name,
    title: `Files of ${describe(bytes)}${tls ? ', TLS' : ''}, ${connections} keep-alive connections`,
    metrics: metrics(download),
    missing: () => missingProgram('wrk', ...(tls ? ['openssl'] : [])),
    measure: (peer, conditions) => measure(peer, conditions, download),
  };
}

function metrics({ rate, bytes }: Download): readonly Metric[] {
  // What a small file costs is mostly what a request does: bench l7 has a target for that.
  const cpuTarget = bytes > KiB ? { target: ratio('at most', 1) } : {};
  return [
    { key: 'perSecond', title: 'requests/s', digits: 0 },
    { key: 'gbitPerSecond', title: 'Gbit/s', digits: 2, target: ratio('at least', rate) },
    { key: 'cpuUs', title: 'CPU µs a request', digits: 2, ...cpuTarget },
    { key: 'cpuCores', title: 'cores busy', digits: 2 },
  ];
}

function describe(bytes: number): string {
  if (bytes >= GiB) return `${bytes / GiB} GiB`;
  return bytes >= MiB ? `${bytes / MiB} MiB` : `${bytes / KiB} KiB`;
}

async function measure(
  peer: Peer,
  { cpus, directory, seconds }: Conditions,
  { bytes, connections, tls }: Download,
): Promise<Measurement> {
  const port = await freePort();
  const root = await servedDirectory(directory, bytes);
  const certificate = tls ? await certificateFor('ecdsa', directory) : undefined;
  await using server = await peer.startFiles!({
    listenPort: port,
    root,
    directory,
    cpus: cpus.proxy,
    ...(certificate && { tls: { ...certificate, kernel: false } }),
  });
  const load = { port, connections, tls, path: '/file', isLong: bytes === GiB, cpus: cpus.load };
  await runWrk({ ...load, seconds: warmUpSeconds });
  const { result, cpuSeconds } = await whileMeasuringCpu(server, () =>
    runWrk({ ...load, seconds }),
  );
  // Of large files some are under way at the end: bytes say more than whole ones.
  const { readBytes, elapsedSeconds: elapsed, commandLine } = result;
  return {
    values: {
      perSecond: readBytes / bytes / elapsed,
      gbitPerSecond: (readBytes * 8) / elapsed / 1e9,
      cpuUs: (cpuSeconds / (readBytes / bytes)) * 1e6,
      cpuCores: cpuSeconds / elapsed,
    },
    commands: [server.commandLine, commandLine],
  };
}

/** A directory with one file of so many bytes, made for the first that is measured with it. */
async function servedDirectory(directory: string, bytes: number): Promise<string> {
  const root = `${directory}/files-${bytes}`;
  const file = `${root}/file`;
  if (!existsSync(file)) {
    mkdirSync(root, { recursive: true });
    writeFileSync(file, Buffer.alloc(bytes, 'headgate'));
  }
  const ageMs = Date.now() - statSync(file).ctimeMs;
  if (ageMs < ripeMs) await sleep(ripeMs - ageMs);
  return root;
}
