// A stand-in for `headgate tcp`, made of Node streams: what the suites are developed against (HEADGATE_TEST_STANDIN=1).
// It forwards correctly, half-closes included, and logs flows; it neither splices nor balances nor watches its limits.
import net from 'node:net';
import { parseArgs } from 'node:util';
import { connectTo, formatAddress, listenAt } from '../peers/address.js';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    workers: { type: 'string' },
    'idle-timeout': { type: 'string', default: '5m' },
    'connect-timeout': { type: 'string', default: '5s' },
    'drain-timeout': { type: 'string', default: '30s' },
    'max-connections': { type: 'string' },
    'access-log': { type: 'boolean', default: false },
    'log-level': { type: 'string' },
  },
});
const [, listen, upstreamAddress] = positionals as [string, string, string];
const flows = new Set<Flow>();

interface Flow {
  readonly client: net.Socket;
  readonly upstream: net.Socket;
  close: string | undefined;
  open: number;
}

function milliseconds(text: string): number {
  const match = /^(\d+)(ms|s|m)$/.exec(text);
  if (match === null) throw new Error(`not a duration: ${text}`);
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000 }[match[2] as 'ms' | 's' | 'm'];
}

function log(level: number, msg: string, fields: object = {}): void {
  process.stderr.write(`${JSON.stringify({ level, time: Date.now(), ...fields, msg })}\n`);
}

function abort(flow: Flow, close: string): void {
  flow.close ??= close;
  for (const socket of [flow.client, flow.upstream]) {
    if (socket.remoteFamily === undefined) socket.destroy();
    else socket.resetAndDestroy();
  }
}

function serve(client: net.Socket): void {
  const started = performance.now();
  const upstream = connectTo(upstreamAddress);
  const flow: Flow = { client, upstream, close: undefined, open: 2 };
  flows.add(flow);
  const connecting = setTimeout(
    () => abort(flow, 'connect_timeout'),
    milliseconds(values['connect-timeout']),
  );
  const idle = setTimeout(() => abort(flow, 'idle_timeout'), milliseconds(values['idle-timeout']));
  const refuse = (error: NodeJS.ErrnoException) =>
    abort(flow, error.code === 'ECONNREFUSED' ? 'connect_refused' : 'connect_unreachable');
  upstream.once('error', refuse);
  upstream.once('connect', () => {
    clearTimeout(connecting);
    upstream.off('error', refuse);
    upstream.on('error', () => abort(flow, 'upstream_reset'));
    client.pipe(upstream);
    upstream.pipe(client);
  });
  client.on('error', () => abort(flow, 'client_reset'));
  for (const socket of [client, upstream]) {
    socket.on('data', () => idle.refresh());
    socket.once('close', () => {
      if (--flow.open > 0) return;
      clearTimeout(connecting);
      clearTimeout(idle);
      flows.delete(flow);
      logFlow(flow, performance.now() - started);
      if (draining && flows.size === 0) process.exit(0);
    });
  }
  client.pause();
}

function logFlow({ client, upstream, close = 'done' }: Flow, durationMs: number): void {
  if (!values['access-log']) return;
  log(30, 'flow', {
    listener: 'standin',
    client: `${client.remoteAddress}:${client.remotePort}`,
    upstream: 'upstream',
    endpoint: upstreamAddress,
    bytes_up: client.bytesRead,
    bytes_down: upstream.bytesRead,
    path_up: client.bytesRead === 0 ? 'none' : 'copy',
    path_down: upstream.bytesRead === 0 ? 'none' : 'copy',
    duration_ms: durationMs,
    close,
  });
}

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, serve);
server.once('listening', () => {
  process.stdout.write(`listening standin tcp ${formatAddress(server, listen)}\n`);
});
listenAt(server, listen);

let draining = false;
function drain(): void {
  if (draining) process.exit(1);
  draining = true;
  server.close();
  if (flows.size === 0) process.exit(0);
  setTimeout(() => {
    for (const flow of flows) abort(flow, 'drain_timeout');
  }, milliseconds(values['drain-timeout']));
}
process.on('SIGTERM', drain);
process.on('SIGINT', drain);
