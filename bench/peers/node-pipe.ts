// Node's own way: two sockets and `pipe()` in both directions (node-pipe-proxy.ts), one process.
import { fileURLToPath } from 'node:url';
import { isListening } from '../loopback.js';
import { type Child, startUntil } from '../process.js';
import { type Availability, type Forward, hopsOf, type Peer, startTimeoutMs } from './peer.js';

const program = fileURLToPath(new URL('node-pipe-proxy.js', import.meta.url));

async function availability(): Promise<Availability> {
  return { available: true, version: process.version };
}

async function startTcp(forward: Forward): Promise<Child> {
  const ports = hopsOf(forward).map(({ listenPort }) => listenPort);
  return startUntil(
    () => ports.every(isListening),
    {
      program: process.execPath,
      args: [program, ...[...ports, forward.upstreamPort].map(String)],
      cpus: forward.cpus,
    },
    startTimeoutMs,
  );
}

export const nodePipe: Peer = { name: 'node', availability, startTcp };
