// Requests: wrk with one thread keeps a number of connections busy.
import { loopback } from '../loopback.js';
import { run } from '../process.js';

export interface Requests {
  count: number;
  perSecond: number;
  p50Us: number;
  p99Us: number;
  /** Heads included, of answers that were not whole at the end, too; to about three digits. */
  readBytes: number;
  elapsedSeconds: number;
  commandLine: string;
}

export interface Load {
  port: number;
  connections: number;
  seconds: number;
  /** Each request on a connection of its own, which the server closes. */
  close?: boolean;
  /** Over TLS, to whatever certificate. */
  tls?: boolean;
  path?: string;
  /** Answers may take longer than the seconds: none has to be whole at the end. */
  isLong?: boolean;
  /** A file that makes other requests than a GET of the path, in Lua. */
  script?: string;
  cpus: string | undefined;
}

/** On top of the seconds asked for: connecting, and the statistics at the end. */
const overheadMs = 10_000;
/** A response of 100 MiB takes longer than wrk's 2 s where many share a processor. */
const timeoutSeconds = 30;
const unitUs: Record<string, number> = { us: 1, ms: 1e3, s: 1e6, m: 60e6 };

/**
 * Requests through `port` for some seconds. Throws when any request failed: an answer that is not 2xx or 3xx, or a
 * socket error.
 */
export async function runWrk(load: Load): Promise<Requests> {
  const { port, connections, seconds, close = false, tls = false, path = '/', script, cpus } = load;
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency'];
  args.push(`--timeout=${timeoutSeconds}s`);
  if (close) args.push('-H', 'Connection: close');
  if (script !== undefined) args.push('-s', script);
  args.push(`${tls ? 'https' : 'http'}://${loopback}:${port}${path}`);
  const limitMs = (seconds + timeoutSeconds) * 1000 + overheadMs;
  const finished = await run({ program: 'wrk', args, cpus }, limitMs);
  return {
    ...parseWrk(finished.stdout, finished.stderr, load.isLong ?? false),
    commandLine: finished.commandLine,
  };
}

/** One POST after the other of so many bytes, in one piece or in chunks of 64 KiB. */
export function uploadScript(bytes: number, { chunked }: { chunked: boolean }): string {
  if (!chunked) {
    return `wrk.method = "POST"\nwrk.body = string.rep("x", ${bytes})\n`;
  }
  return `local chunk = string.format("%x\\r\\n%s\\r\\n", 65536, string.rep("x", 65536))
local raw
function init(args)
  raw = "POST / HTTP/1.1\\r\\nHost: " .. wrk.host .. "\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n" ..
    string.rep(chunk, ${bytes / 65536}) .. "0\\r\\n\\r\\n"
end
function request() return raw end
`;
}

/** A GET of another of so many services each time: `/service-N/`, in an order without a pattern. */
export function servicesScript(services: number): string {
  return `local requests, at = {}, 0
function init(args)
  for index = 1, ${services} do
    requests[index] = wrk.format("GET", "/service-" .. (index * 7919 % ${services}) .. "/")
  end
end
function request()
  at = at % ${services} + 1
  return requests[at]
end
`;
}

/** @param isLong no answer need be whole */
function parseWrk(
  report: string,
  complaint: string,
  isLong: boolean,
): Omit<Requests, 'commandLine'> {
  for (const error of [/^\s*Socket errors: .*$/m, /^\s*Non-2xx or 3xx responses: .*$/m]) {
    const [line] = error.exec(report) ?? [];
    if (line) throw new Error(`wrk: ${line.trim()}`);
  }
  const count = Number(/^\s*(\d+) requests in/m.exec(report)?.[1]);
  const perSecond = Number(/^Requests\/sec:\s+([\d.]+)/m.exec(report)?.[1]);
  const [, amount, unit] = /([\d.]+)(B|[KMGT]B) read$/m.exec(report) ?? [];
  const elapsedSeconds = Number(/requests in ([\d.]+)s/.exec(report)?.[1]);
  const readBytes = Number(amount) * 1024 ** ['B', 'KB', 'MB', 'GB', 'TB'].indexOf(unit ?? '');
  if (!(count > 0 || (isLong && readBytes > 0))) {
    throw new Error(`wrk made no request: ${complaint || report}`);
  }
  return {
    count,
    perSecond,
    readBytes,
    elapsedSeconds,
    p50Us: percentileUs(report, 50),
    p99Us: percentileUs(report, 99),
  };
}

function percentileUs(report: string, percent: number): number {
  const [, value, unit] =
    new RegExp(`^\\s*${percent}%\\s+([\\d.]+)([a-z]+)$`, 'm').exec(report) ?? [];
  return Number(value) * (unitUs[unit ?? ''] ?? Number.NaN);
}
