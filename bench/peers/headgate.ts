// Headgate itself, as built in dist/.
import { existsSync, writeFileSync } from 'node:fs';
import { loopback } from '../loopback.js';
import { packageVersion, root } from '../machine.js';
import { type Child, startUntil } from '../process.js';
import {
  type Availability,
  type FileServing,
  type Forward,
  type HttpForward,
  hopsOf,
  type Peer,
  startTimeoutMs,
  type Termination,
  tlsTerms,
} from './peer.js';

const cli = 'dist/cli.js';

async function availability(): Promise<Availability> {
  if (!existsSync(`${root}${cli}`)) return { available: false, reason: `${cli} is not built` };
  return { available: true, version: packageVersion('package.json') ?? 'unknown' };
}

async function startTcp(forward: Forward): Promise<Child> {
  if (forward.tls !== undefined || hopsOf(forward).length > 1) {
    return startConfigured(forward, tcpConfiguration(forward));
  }
  const listen = `${loopback}:${forward.listenPort}`;
  const upstream = `${loopback}:${forward.upstreamPort}`;
  const says = (line: string) => line.startsWith('listening ') && line.endsWith(listen);
  return startUntil(
    (child) => child.output.split('\n').some(says),
    {
      program: process.execPath,
      args: [`${root}${cli}`, 'tcp', listen, upstream, '--workers', '1'],
      cpus: forward.cpus,
    },
    startTimeoutMs,
  );
}

function startHttp(forward: HttpForward): Promise<Child> {
  return startConfigured(forward, httpConfiguration(forward));
}

function startFiles(serving: FileServing): Promise<Child> {
  const { listenPort, root, tls } = serving;
  return startConfigured(
    serving,
    `log: { access: false }
listeners:
  bench:
    bind: "${loopback}:${listenPort}"
${tlsConfiguration(tls)}    http:
      routes:
        - files: { root: ${root} }
`,
  );
}

/** Starts it with a configuration that listens at the port. */
export function startConfigured(
  forward: Omit<Forward, 'upstreamPort'>,
  configuration: string,
): Promise<Child> {
  const file = `${forward.directory}/headgate-${forward.listenPort}.yaml`;
  writeFileSync(file, configuration);
  const listen = `${loopback}:${forward.listenPort}`;
  const says = (line: string) => line.startsWith('listening ') && line.endsWith(listen);
  return startUntil(
    (child) => child.output.split('\n').some(says),
    {
      program: process.execPath,
      args: [`${root}${cli}`, 'run', '-c', file, '--workers', '1'],
      cpus: forward.cpus,
    },
    startTimeoutMs,
  );
}

function httpConfiguration({
  listenPort,
  upstreamPort,
  routes,
  tls,
  accessLog,
}: HttpForward): string {
  const services = Array.from(
    { length: routes },
    (_, index) => `        - { match: { path: "/service-${index}/*" }, upstream: origin }\n`,
  );
  return `log: { access: ${accessLog === undefined ? false : JSON.stringify(accessLog)} }
listeners:
  bench:
    bind: "${loopback}:${listenPort}"
${tlsConfiguration(tls)}    http:
      routes:
${services.join('')}        - upstream: origin
upstreams:
  origin:
    endpoints: ["${loopback}:${upstreamPort}"]
`;
}

function tcpConfiguration(forward: Forward): string {
  const hops = hopsOf(forward);
  const listeners = hops.map(
    ({ name, listenPort }) => `  ${name}:
    bind: "${loopback}:${listenPort}"
${tlsConfiguration(forward.tls)}    tcp: { upstream: ${name} }
`,
  );
  const upstreams = hops.map(
    ({ name, upstreamPort }) => `  ${name}: { endpoints: ["${loopback}:${upstreamPort}"] }
`,
  );
  return `log: { access: false }
listeners:
${listeners.join('')}upstreams:
${upstreams.join('')}`;
}

function tlsConfiguration(tls: Termination | undefined): string {
  if (tls === undefined) return '';
  const { ciphers, ciphersuites, curves } = tlsTerms;
  return `    tls:
      certificates: [{ cert: ${tls.certificate}, key: ${tls.key} }]
      ciphers: ${ciphers}
      ciphersuites: ${ciphersuites}
      curves: ${curves}
      kernel: ${tls.kernel ? 'require' : 'off'}
`;
}

export const headgate: Peer = { name: 'headgate', availability, startTcp, startHttp, startFiles };
