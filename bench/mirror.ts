// What a mirror costs those who are mirrored: Headgate without one, with a shadow that takes everything, with one
// that takes nothing.
import { type Copying, copyingScenarios, metricsPage, sumOf } from './copying.js';
import { startOrigin } from './load/origin.js';
import { type ShadowMode, startShadow } from './load/shadow.js';
import { freePort, loopback } from './loopback.js';
import { headgate, startConfigured } from './peers/headgate.js';
import type { Peer } from './peers/peer.js';
import type { Conditions } from './scenario.js';
import { runSuite } from './suite.js';

/** The subject is mirrored, and all is well; the others are what it is compared with. */
const { availability } = headgate;
const mirrored: Peer = { name: headgate.name, availability };
/** The same with sixteen times the room: a shadow may fall behind that far. */
const roomy: Peer = { name: 'roomy-mirror', availability };
const unmirrored: Peer = { name: 'unmirrored', availability };
const stuck: Peer = { name: 'stuck-shadow', availability };

export function run(args: string[]): Promise<number> {
  const peers = [mirrored, roomy, unmirrored, stuck];
  const scenarios = copyingScenarios(startMirroring, 'mirrored');
  return runSuite({ name: 'mirror', scenarios, peers, references: [unmirrored.name] }, args);
}

/** A proxy and, running whether it is told of it or not, its shadow. */
async function startMirroring(
  peer: Peer,
  kind: 'tcp' | 'http',
  upstreamPort: number,
  conditions: Conditions,
): Promise<Copying> {
  const { directory, cpus } = conditions;
  const [port, shadowPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const mode: ShadowMode = peer === stuck ? 'stuck' : 'fast';
  const shadow =
    kind === 'http' && mode === 'fast'
      ? await startOrigin({ port: shadowPort, keepAlive: true, directory, cpus: cpus.load })
      : await startShadow(shadowPort, mode, cpus.load);
  const buffer = peer === roomy ? ', buffer: 64MiB' : '';
  const mirror = peer === unmirrored ? '' : `, mirror: { upstream: shadow${buffer} }`;
  const configuration = `log: { access: false }
limits: { pipe_memory: 256MiB }
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
    copies: async () => {
      const page = await metricsPage(adminPort);
      return {
        passedBytes: sumOf(page, /^headgate_bytes_total\{direction="up".*\} (.*)$/gm),
        copiedBytes: sumOf(page, /^headgate_mirror_bytes_total\{.*\} (.*)$/gm),
        begun: sumOf(page, /^headgate_mirrored_total\{.*\} (.*)$/gm),
        cut: sumOf(page, /^headgate_mirrors_cut_total\{.*\} (.*)$/gm),
      };
    },
    async [Symbol.asyncDispose]() {
      await child.stop();
      await shadow.stop();
    },
  };
}
