// Handshakes: several `openssl s_time`, each with one connection after the other. Not wrk, which clears its SSL objects
// for the next connection and so, without a word, resumes sessions.
import { loopback } from '../loopback.js';
import { run } from '../process.js';

export interface Handshakes {
  count: number;
  perSecond: number;
  commandLine: string;
}

export interface HandshakeLoad {
  port: number;
  version: '1.2' | '1.3';
  /** Resume the session of the connection before, or begin a new one each time. */
  resume: boolean;
  /** Programs at the same time. */
  clients: number;
  seconds: number;
  cpus: string | undefined;
}

const overheadMs = 10_000;
/** Of all connections; when resuming, each client's first is a full handshake all the same. */
const wantedShareMin = 0.95;

/**
 * Requests for `/` over https, each on a connection of its own. Throws when handshakes were not of the kind that was
 * asked for.
 */
export async function runHandshakes(load: HandshakeLoad): Promise<Handshakes> {
  const { port, version, resume, clients, seconds, cpus } = load;
  const args = [
    's_time',
    '-connect',
    `${loopback}:${port}`,
    resume ? '-reuse' : '-new',
    '-www',
    '/',
  ];
  args.push('-time', String(seconds), `-tls${version.replace('.', '_')}`);
  const one = () => run({ program: 'openssl', args, cpus }, seconds * 1000 + overheadMs);
  // s_time ends at the turn of a second by the clock on the wall: how long it took is for us to measure.
  const begunMs = performance.now();
  const finished = await Promise.all(Array.from({ length: clients }, one));
  const tookSeconds = (performance.now() - begunMs) / 1000;
  let count = 0;
  let wanted = 0;
  for (const { stdout, stderr, status } of finished) {
    const connections = Number(/^(\d+) connections in \d+ real seconds/m.exec(stdout)?.[1]);
    if (status !== 0 || !(connections > 0)) throw new Error(`openssl s_time: ${stderr || stdout}`);
    count += connections;
    // A letter for each connection, in one line: `r` where a session was resumed.
    const letters = /^[rt*]{2,}/m.exec(stdout)?.[0] ?? '';
    wanted += letters.replaceAll(resume ? /[^r]/g : /r/g, '').length;
  }
  if (wanted < count * wantedShareMin) {
    const kind = resume ? 'resumed a session' : 'began a session';
    throw new Error(`of ${count} connections ${wanted} ${kind}`);
  }
  return { count, perSecond: count / tookSeconds, commandLine: finished[0]!.commandLine };
}
