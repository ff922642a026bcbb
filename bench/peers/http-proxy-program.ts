// The program behind http-proxy.ts: `node http-proxy-program.js LISTEN_PORT UPSTREAM_PORT`.
import { Agent } from 'node:http';
import { createProxyServer } from 'http-proxy-3';
import { loopback } from '../loopback.js';

const [listenPort, upstreamPort] = process.argv.slice(2).map(Number);

const proxy = createProxyServer({
  target: `http://${loopback}:${upstreamPort}`,
  agent: new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY }),
  ws: true,
});
// A client that left; the next request is served as if nothing had been.
proxy.on('error', () => {});
proxy.listen(listenPort!, loopback);
