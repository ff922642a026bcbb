// The program behind upload-origin.ts: `node upload-origin-program.js PORT`.
import { createServer } from 'node:http';
import { loopback } from '../loopback.js';

const server = createServer(
  { keepAliveTimeout: 3_600_000, requestTimeout: 0 },
  (request, response) => {
    request.on('end', () => response.end('ok\n'));
    request.resume();
  },
);
server.listen({ host: loopback, port: Number(process.argv[2]), backlog: 4096 });
