// Small requests: wrk with one thread keeps a number of connections busy.
import { loopback } from '../loopback.js';
import { run } from '../process.js';

export interface Requests {
  count: number;
  perSecond: number;
  p50Us: number;
  p99Us: number;
  commandLine: string;
}

/** On top of the seconds asked for: connecting, and the statistics at the end. */
const overheadMs = 10_000;
const unitUs: Record<string, number> = { us: 1, ms: 1e3, s: 1e6, m: 60e6 };

/**
 * Requests through `port` for some seconds. With `close` each request is a new connection, which the server closes.
 * Throws when any request failed: an answer that is not 2xx or 3xx, or a socket error.
 */
export async function runWrk(options: {
  port: number;
  connections: number;
  seconds: number;
  close: boolean;
  cpus: string | undefined;
}): Promise<Requests> {
  const { port, connections, seconds, close, cpus } = options;
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency'];
  if (close) args.push('-H', 'Connection: close');
  args.push(`http://${loopback}:${port}/`);
  const finished = await run({ program: 'wrk', args, cpus }, seconds * 1000 + overheadMs);
  return { ...parseWrk(finished.stdout, finished.stderr), commandLine: finished.commandLine };
}

function parseWrk(report: string, complaint: string): Omit<Requests, 'commandLine'> {
  for (const error of [/^\s*Socket errors: .*$/m, /^\s*Non-2xx or 3xx responses: .*$/m]) {
    const [line] = error.exec(report) ?? [];
    if (line) throw new Error(`wrk: ${line.trim()}`);
  }
  const count = Number(/^\s*(\d+) requests in/m.exec(report)?.[1]);
  const perSecond = Number(/^Requests\/sec:\s+([\d.]+)/m.exec(report)?.[1]);
  if (!(count > 0)) throw new Error(`wrk made no request: ${complaint || report}`);
  return { count, perSecond, p50Us: percentileUs(report, 50), p99Us: percentileUs(report, 99) };
}

function percentileUs(report: string, percent: number): number {
  const [, value, unit] =
    new RegExp(`^\\s*${percent}%\\s+([\\d.]+)([a-z]+)$`, 'm').exec(report) ?? [];
  return Number(value) * (unitUs[unit ?? ''] ?? Number.NaN);
}
