// Headgate itself, as built in dist/.
import { existsSync, writeFileSync } from 'node:fs';
import { loopback } from '../loopback.js';
import { packageVersion, root } from '../machine.js';
import { type Child, startUntil } from '../process.js';
import {
  type Availability,
  type Forward,
  type HttpForward,
  type Peer,
  startTimeoutMs,
} from './peer.js';

const cli = 'dist/cli.js';

async function availability(): Promise<Availability> {
  if (!existsSync(`${root}${cli}`)) return { available: false, reason: `${cli} is not built` };
  return { available: true, version: packageVersion('package.json') ?? 'unknown' };
}

async function startTcp(forward: Forward): Promise<Child> {
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

async function startHttp(forward: HttpForward): Promise<Child> {
  const file = `${forward.directory}/headgate-${forward.listenPort}.yaml`;
  writeFileSync(file, httpConfiguration(forward));
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

function httpConfiguration({ listenPort, upstreamPort, routes }: HttpForward): string {
  const services = Array.from(
    { length: routes },
    (_, index) => `        - { match: { path: "/service-${index}/*" }, upstream: origin }\n`,
  );
  return `log: { access: false }
listeners:
  bench:
    bind: "${loopback}:${listenPort}"
    http:
      routes:
${services.join('')}        - upstream: origin
upstreams:
  origin:
    endpoints: ["${loopback}:${upstreamPort}"]
`;
}

export const headgate: Peer = { name: 'headgate', availability, startTcp, startHttp };
