// HAProxy, one thread, twice: splicing when it sees fit (`splice-auto`), and splicing always.
// Two, because for connections that forward everything HAProxy 2.6 decides on `splice-auto` only when the stream's
// timer wakes it, which is when the connect timeout would have struck: with `timeout connect 5s` a connection is copied
// for exactly five seconds and then spliced, at a quarter of the cost. A short connect timeout lets it splice early.
import { writeFileSync } from 'node:fs';
import { isListening, loopback } from '../loopback.js';
import { type Child, firstLine, startUntil } from '../process.js';
import { openFilesMax } from '../usage.js';
import {
  type Availability,
  type Forward,
  type HttpForward,
  hopsOf,
  type Peer,
  startTimeoutMs,
  type Termination,
  tlsTerms,
} from './peer.js';

/** HAProxy reserves two files a connection and a pipe (two files) for every fourth; it refuses to start with fewer. */
const filesPerConnection = 2.5;
const filesReserved = 100;
const connectionsMax = 20_000;

const spliceWhenWorthwhile = 'option splice-auto';
const spliceAlways = 'option splice-request\n  option splice-response';

async function availability(): Promise<Availability> {
  const line = await firstLine('haproxy', '-v');
  if (line === null) return { available: false, reason: 'haproxy is not installed' };
  return { available: true, version: /version (\S+)/.exec(line)?.[1] ?? line };
}

function startTcp(forward: Forward, splicing: string): Promise<Child> {
  const file = `${forward.directory}/haproxy-${forward.listenPort}.cfg`;
  writeFileSync(file, configuration(forward, splicing));
  return startUntil(
    () => isListening(forward.listenPort),
    { program: 'haproxy', args: ['-db', '-f', file], cpus: forward.cpus },
    startTimeoutMs,
  );
}

/** Routes are a map, which HAProxy keeps as a tree of prefixes. */
function startHttp(forward: HttpForward): Promise<Child> {
  const name = `${forward.directory}/haproxy-${forward.listenPort}`;
  writeFileSync(`${name}.cfg`, httpConfiguration(forward, `${name}.map`));
  const services = Array.from(
    { length: forward.routes },
    (_, index) => `/service-${index}/ origin\n`,
  );
  writeFileSync(`${name}.map`, services.join(''));
  return startUntil(
    () => isListening(forward.listenPort),
    { program: 'haproxy', args: ['-db', '-f', `${name}.cfg`], cpus: forward.cpus },
    startTimeoutMs,
  );
}

function httpConfiguration(
  { listenPort, upstreamPort, routes, tls }: HttpForward,
  map: string,
): string {
  return `${globalSection()}
defaults
  mode http
  ${spliceWhenWorthwhile}
  http-reuse always
  timeout connect 200ms
  timeout client 1h
  timeout server 1h

frontend bench
  bind ${loopback}:${listenPort}${tlsWords(tls)}
  ${routes > 0 ? `use_backend %[path,map_beg(${map})]` : ''}
  default_backend origin

backend origin
  server upstream ${loopback}:${upstreamPort}
`;
}

function globalSection(): string {
  const affordable = Math.floor((openFilesMax() - filesReserved) / filesPerConnection);
  return `global
  nbthread 1
  maxconn ${Math.min(connectionsMax, affordable)}
  tune.pipesize 1048576
`;
}

function configuration(forward: Forward, splicing: string): string {
  const sections = hopsOf(forward).map(
    ({ name, listenPort, upstreamPort }) => `
listen ${name}
  bind ${loopback}:${listenPort}${tlsWords(forward.tls)}
  server upstream ${loopback}:${upstreamPort}
`,
  );
  return `${globalSection()}
defaults
  mode tcp
  ${splicing}
  timeout connect 200ms
  timeout client 1h
  timeout server 1h
${sections.join('')}`;
}

function tlsWords(tls: Termination | undefined): string {
  if (tls === undefined) return '';
  const { ciphers, ciphersuites, curves } = tlsTerms;
  return ` ssl crt ${tls.both} ciphers ${ciphers} ciphersuites ${ciphersuites} curves ${curves}`;
}

export const haproxy: Peer = {
  name: 'haproxy',
  availability,
  startTcp: (forward) => startTcp(forward, spliceWhenWorthwhile),
  startHttp,
};

export const haproxySplice: Peer = {
  name: 'haproxy-splice',
  availability,
  startTcp: (forward) => startTcp(forward, spliceAlways),
};
