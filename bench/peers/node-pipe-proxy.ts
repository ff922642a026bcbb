// The program behind node-pipe.ts: `node node-pipe-proxy.js LISTEN_PORT… UPSTREAM_PORT`: each port forwards to the next.
import { connect, createServer } from 'node:net';
import { loopback } from '../loopback.js';

const ports = process.argv.slice(2).map(Number);

for (const [index, port] of ports.slice(0, -1).entries()) {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({
      host: loopback,
      port: ports[index + 1]!,
      allowHalfOpen: true,
      noDelay: true,
    });
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.pipe(upstream);
    upstream.pipe(client);
  });
  server.listen({ host: loopback, port, backlog: 4096 });
}
