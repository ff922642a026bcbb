// What capturing costs those who are captured: Headgate without it, with captures that go to memory, which shows what the
// proxy itself does, and to a disk.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type Copying, copyingScenarios, metricsPage, sumOf } from './copying.js';
import { freePort, loopback } from './loopback.js';
import { headgate, startConfigured } from './peers/headgate.js';
import type { Availability, Peer } from './peers/peer.js';
import type { Conditions } from './scenario.js';
import { runSuite } from './suite.js';

/** A file system in memory (`man 7 shm_overview`). */
const memory = '/dev/shm';
const settleMs = 3_000;

const { availability } = headgate;
const captured: Peer = { name: headgate.name, availability: whereMemoryIs };
const toDisk: Peer = { name: 'to-disk', availability };
const uncaptured: Peer = { name: 'uncaptured', availability };

export function run(args: string[]): Promise<number> {
  const peers = [captured, toDisk, uncaptured];
  const scenarios = copyingScenarios(startCapturing, 'captured');
  return runSuite({ name: 'capture', scenarios, peers, references: [uncaptured.name] }, args);
}

async function whereMemoryIs(): Promise<Availability> {
  if (!existsSync(memory)) return { available: false, reason: `there is no ${memory}` };
  return availability();
}

/** The capture thread writes the ends of captures when it comes to them. */
async function whenSettled(look: () => Promise<string>): Promise<string> {
  const endMs = performance.now() + settleMs;
  for (;;) {
    const page = await look();
    const begun = sumOf(page, /^headgate_captures_begun_total (.*)$/gm);
    const ended = sumOf(page, /^headgate_captures_total\{missing="(?!not_begun).*\} (.*)$/gm);
    if (begun === ended || performance.now() > endMs) return page;
    await delay(20);
  }
}

async function startCapturing(
  peer: Peer,
  kind: 'tcp' | 'http',
  upstreamPort: number,
  conditions: Conditions,
): Promise<Copying> {
  const { directory, cpus } = conditions;
  const [port, adminPort] = [await freePort(), await freePort()];
  const home = mkdtempSync(`${peer === captured ? memory : directory}/headgate-bench-`);
  const rotate = 'rotate: { max_total: 4GiB }';
  const capture =
    peer === uncaptured ? '' : `, capture: { directory: ${home}/captures, ${rotate} }`;
  const configuration = `log: { access: false }
admin: { bind: "${loopback}:${adminPort}" }
listeners: { bench: { bind: "${loopback}:${port}", ${kind}: { upstream: origin${capture} } } }
upstreams: { origin: { endpoints: ["${loopback}:${upstreamPort}"] } }
`;
  const child = await startConfigured(
    { listenPort: port, directory, cpus: cpus.proxy },
    configuration,
  );
  return {
    port,
    child,
    copies: async () => {
      const page = await whenSettled(() => metricsPage(adminPort));
      return {
        passedBytes: sumOf(page, /^headgate_bytes_total\{.*\} (.*)$/gm),
        copiedBytes: sumOf(page, /^headgate_capture_bytes_total\{.*\} (.*)$/gm),
        begun: sumOf(page, /^headgate_captures_begun_total (.*)$/gm),
        cut: sumOf(page, /^headgate_captures_total\{missing="(?!nothing").*\} (.*)$/gm),
      };
    },
    async [Symbol.asyncDispose]() {
      await child.stop();
      rmSync(home, { recursive: true });
    },
  };
}
