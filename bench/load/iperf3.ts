// Bulk transfer: iperf3 sends as fast as the path allows, one or more streams, client to server.
import { isListening, loopback } from '../loopback.js';
import { type Child, run, startUntil } from '../process.js';

export interface Transfer {
  /** What the server received, over all streams. */
  bytes: number;
  /** Over how long it received it, as the server measured. */
  seconds: number;
  commandLine: string;
}

/** On top of the seconds asked for: connecting, and the exchange of results at the end. */
const overheadMs = 10_000;

/** A server that takes one test after another; one test is one control connection and the streams. */
export async function startIperf3Server(port: number, cpus: string | undefined): Promise<Child> {
  const args = ['-s', '-B', loopback, '-p', String(port)];
  return startUntil(() => isListening(port), { program: 'iperf3', args, cpus }, 5_000);
}

/** One test through `port`. Throws what iperf3 reports as an error. */
export async function runIperf3(options: {
  port: number;
  streams: number;
  seconds: number;
  /** Of each stream; as fast as it goes unless said. */
  gbitPerSecond?: number | undefined;
  cpus: string | undefined;
}): Promise<Transfer> {
  const { port, streams, seconds, cpus, gbitPerSecond = 0 } = options;
  const args = ['-c', loopback, '-p', port, '-t', seconds, '-P', streams, '--json'].map(String);
  if (gbitPerSecond > 0) args.push('-b', `${gbitPerSecond}G`);
  const finished = await run({ program: 'iperf3', args, cpus }, seconds * 1000 + overheadMs);
  if (finished.stdout === '') throw new Error(`iperf3 said nothing: ${finished.stderr}`);
  const result = JSON.parse(finished.stdout);
  if (result.error) throw new Error(`iperf3: ${result.error}`);
  const received = result.end.sum_received;
  return { bytes: received.bytes, seconds: received.seconds, commandLine: finished.commandLine };
}
