// Ports on 127.0.0.1, the only address a benchmark uses.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

export const loopback = '127.0.0.1';

/** First port considered: below it live the services of the machine. */
const portMin = 10_240;
const attemptsMax = 100;
/** TCP_LISTEN, include/net/tcp_states.h, as /proc/net/tcp prints it. */
const TCP_LISTEN = '0A';

/**
 * A port nobody listens on. Chosen below the ephemeral range: a port inside it may be taken, as a source port, by one
 * of the thousands of connections a benchmark opens.
 */
export async function freePort(): Promise<number> {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
  const ephemeralMin = Number(range.split(/\s+/)[0]);
  const portMax = ephemeralMin > portMin + 1_000 ? ephemeralMin : 65_536;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin));
    if (await canListen(port)) return port;
  }
  throw new Error(`no free port found in ${attemptsMax} attempts`);
}

/** Whether somebody listens on the port: read from /proc/net/tcp, since a trial connection would reach the upstream. */
export function isListening(port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .some((line) => {
      const [, local, , state] = line.trim().split(/\s+/);
      return state === TCP_LISTEN && local!.endsWith(suffix);
    });
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, loopback, () => server.close(() => resolve(true)));
  });
}
