// Addresses as headgate spells them: `127.0.0.1:80`, `[::1]:80`, `unix:/path`, `unix:@abstract`.
import net from 'node:net';

export type Address = { host: string; port: number } | { path: string };

/**
 * What `net.connect` and `server.listen` take for `text`; an abstract name begins with NUL there (unix(7)).
 * @throws Error when `text` is none of the four spellings.
 */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix:@')) return { path: `\0${text.slice(6)}` };
  if (text.startsWith('unix:')) return { path: text.slice(5) };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  if (match === null) throw new Error(`not an address: ${text}`);
  return { host: (match[1] ?? match[2])!, port: Number(match[3]) };
}

/** The spelling of what `server` really listens on: port 0 has become the port given. */
export function formatAddress(server: net.Server): string {
  const address = server.address();
  if (address === null) throw new Error('not listening');
  if (typeof address === 'string') {
    return address.startsWith('\0') ? `unix:@${address.slice(1)}` : `unix:${address}`;
  }
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${host}:${address.port}`;
}

/** A port of `host` that was free a moment ago, for programs that cannot be asked to choose one. */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/**
 * An abstract address nobody else uses, of the full 107 bytes: Node 20 pads shorter names with NULs, which makes them
 * names that other programs do not mean (unix(7)).
 */
export function abstractAddress(role: string): string {
  return `unix:@${`headgate-${process.pid}-${role}-`.padEnd(107, '.')}`;
}
