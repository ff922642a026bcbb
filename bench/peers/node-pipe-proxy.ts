// The program behind node-pipe.ts: `node node-pipe-proxy.js LISTEN_PORT UPSTREAM_PORT`.
import { connect, createServer } from 'node:net';
import { loopback } from '../loopback.js';

const [listenPort, upstreamPort] = process.argv.slice(2).map(Number);

const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const upstream = connect({
    host: loopback,
    port: upstreamPort!,
    allowHalfOpen: true,
    noDelay: true,
  });
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
  client.pipe(upstream);
  upstream.pipe(client);
});
server.listen({ host: loopback, port: listenPort!, backlog: 4096 });
