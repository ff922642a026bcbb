// WebSocket echo: connections that each send a message, wait for it to come back, and send the next.
import { fileURLToPath } from 'node:url';
import { isListening } from '../loopback.js';
import { type Child, run, startUntil } from '../process.js';
import type { Requests } from './wrk.js';

const echoProgram = fileURLToPath(new URL('websocket-echo-program.js', import.meta.url));
const loadProgram = fileURLToPath(new URL('websocket-load-program.js', import.meta.url));

export function startWebSocketEcho(port: number, cpus: string | undefined): Promise<Child> {
  return startUntil(
    () => isListening(port),
    { program: process.execPath, args: [echoProgram, String(port)], cpus },
    5_000,
  );
}

/** Throws when a connection failed or a message came back changed. */
export async function runWebSockets(options: {
  port: number;
  connections: number;
  seconds: number;
  messageBytes: number;
  cpus: string | undefined;
}): Promise<Requests> {
  const { port, connections, seconds, messageBytes, cpus } = options;
  const args = [loadProgram, ...[port, connections, seconds, messageBytes].map(String)];
  const program = process.execPath;
  const { status, stdout, stderr, commandLine } = await run(
    { program, args, cpus },
    (seconds + 20) * 1000,
  );
  if (status !== 0) throw new Error(`websockets: ${stderr || stdout}`);
  return { ...JSON.parse(stdout), commandLine };
}
