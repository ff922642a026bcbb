// Addresses as headgate spells them: `127.0.0.1:80`, `[::1]:80`, `unix:/path`, `unix:@abstract`.
import net from 'node:net';
import { abstractSocket } from './socket-calls.js';

type Address = { host: string; port: number } | { path: string } | { abstractName: string };

/**
 * What `net.connect` and `server.listen` take for `text`, except that they know nothing of abstract names.
 * @throws Error when `text` is none of the four spellings.
 */
function parseAddress(text: string): Address {
  if (text.startsWith('unix:@')) return { abstractName: text.slice(6) };
  if (text.startsWith('unix:')) return { path: text.slice(5) };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  if (match === null) throw new Error(`not an address: ${text}`);
  return { host: (match[1] ?? match[2])!, port: Number(match[3]) };
}

/** The spelling of what `server`, asked to listen at `asked`, really listens on: port 0 has become the port given. */
export function formatAddress(server: net.Server, asked: string): string {
  if (asked.startsWith('unix:')) return asked;
  const { address, family, port } = server.address() as net.AddressInfo;
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Listens at `address`; the result of `server.listen`, which announces `listening` or `error`. */
export function listenAt(server: net.Server, address: string): net.Server {
  const parsed = parseAddress(address);
  if (!('abstractName' in parsed)) return server.listen({ ...parsed, backlog: 4096 });
  return server.listen({ fd: abstractSocket('bind', parsed.abstractName) }, 4096);
}

/** A socket that connects to `address`, half-open connections allowed; it announces `connect` or `error`. */
export function connectTo(address: string): net.Socket {
  const parsed = parseAddress(address);
  if (!('abstractName' in parsed)) {
    return net.connect({ ...parsed, allowHalfOpen: true, noDelay: true });
  }
  const fd = abstractSocket('connect', parsed.abstractName);
  const socket = new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  process.nextTick(() => socket.emit('connect'));
  return socket;
}

// Below the ports that the kernel gives to connections (ip_local_port_range begins at 32768): between
// looking and listening nobody else comes by one of these.
const FIRST_PORT = 12_000;
const PORTS = 20_000;
const TRIES_MAX = 100;

/** A port that nobody listens on. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    if (await isFree(port, host)) return port;
  }
  throw new Error(`no free port in ${TRIES_MAX} tries`);
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
