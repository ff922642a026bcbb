// Bulk over TLS: one curl that downloads or uploads as fast as it can until its time is up.
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { loopback } from '../loopback.js';
import { run } from '../process.js';
import type { Transfer } from './iperf3.js';

/** More than any connection moves in the time of a measurement: 1 TiB of nothing. */
export const endlessBytes = 2 ** 40;

/** CURLE_OPERATION_TIMEDOUT: what was to happen. */
const timedOut = 28;
const overheadMs = 10_000;

export interface CurlLoad {
  port: number;
  /** Of a file of {@link endlessBytes}. */
  path: string;
  /** A file to send; without it, the path is downloaded. */
  upload?: string;
  seconds: number;
  cpus: string | undefined;
}

/** One stream over https, for so long. Throws when it ended before. */
export async function runCurl(load: CurlLoad): Promise<Transfer> {
  const { port, path, upload, seconds, cpus } = load;
  const args = ['--silent', '--show-error', '--insecure', '--http1.1', '--output', '/dev/null'];
  args.push('--no-buffer', '--max-time', String(seconds));
  args.push('--write-out', '%{size_download} %{size_upload} %{time_total} %{time_pretransfer}');
  // curl would wait a second for the 100 of a proxy that passes the question on.
  if (upload !== undefined) args.push('--upload-file', upload, '--header', 'Expect:');
  args.push(`https://${loopback}:${port}${path}`);
  const finished = await run({ program: 'curl', args, cpus }, seconds * 1000 + overheadMs);
  if (finished.status !== timedOut) {
    throw new Error(`curl ended with ${finished.status}: ${finished.stderr}`);
  }
  const [down, up, total, before] = finished.stdout.split(' ').map(Number);
  const bytes = upload === undefined ? down! : up!;
  return { bytes, seconds: total! - before!, commandLine: finished.commandLine };
}

/** Makes a file of {@link endlessBytes} that takes no room: a hole. */
export function makeEndlessFile(path: string): void {
  const file = openSync(path, 'w');
  ftruncateSync(file, endlessBytes);
  closeSync(file);
}
