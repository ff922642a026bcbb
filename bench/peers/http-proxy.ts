// http-proxy-3, which Node services use to forward requests (http-proxy-program.ts), one process.
import { fileURLToPath } from 'node:url';
import { isListening } from '../loopback.js';
import { packageVersion } from '../machine.js';
import { type Child, startUntil } from '../process.js';
import { type Availability, type HttpForward, type Peer, startTimeoutMs } from './peer.js';

const program = fileURLToPath(new URL('http-proxy-program.js', import.meta.url));

async function availability(): Promise<Availability> {
  const version = packageVersion('node_modules/http-proxy-3/package.json');
  return version === null
    ? { available: false, reason: 'http-proxy-3 is not installed' }
    : { available: true, version: `${version} on Node ${process.version}` };
}

async function startHttp(forward: HttpForward): Promise<Child> {
  return startUntil(
    () => isListening(forward.listenPort),
    {
      program: process.execPath,
      args: [program, String(forward.listenPort), String(forward.upstreamPort)],
      cpus: forward.cpus,
    },
    startTimeoutMs,
  );
}

export const httpProxy: Peer = { name: 'http-proxy-3', availability, startHttp };
