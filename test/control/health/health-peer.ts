// Servers that misbehave in one way each, for checks to find out.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { Test } from 'tap';
import { type Address, parseEndpointAddress } from '#src/config/index.js';
import type { CheckedEndpoint } from '#src/control/health/index.js';

/** What a server does with each connection. */
export type Serve = (socket: net.Socket) => void;

/** The endpoint of a server on a port of 127.0.0.1, or at `path`; it ends with `t`. */
export async function serve(t: Test, serveOne: Serve, path?: string): Promise<CheckedEndpoint> {
  const server = net.createServer((socket) => {
    serveOne(socket);
    // Read on, or the end is never seen.
    socket.resume();
  });
  return listen(t, server, path);
}

export async function serveHttp(
  t: Test,
  respond: http.RequestListener,
  path?: string,
): Promise<CheckedEndpoint> {
  return listen(t, http.createServer(respond), path);
}

export async function listen(t: Test, server: net.Server, path?: string): Promise<CheckedEndpoint> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  });
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', (socket: net.Socket) => socket.on('error', () => undefined));
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  const bound = server.address() as net.AddressInfo | string;
  if (typeof bound !== 'string') return endpointAt(`127.0.0.1:${bound.port}`);
  return endpointAt(`unix:${bound.replace('\0', '@')}`);
}

/** @param text an endpoint as in the configuration */
export function endpointAt(text: string): CheckedEndpoint {
  const parsed = parseEndpointAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return { upstream: 'test', address: parsed.value as Address };
}
