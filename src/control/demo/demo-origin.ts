import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SocketAddress } from '../../splice/index.js';

/** The origin behind `demo: true`: something to see on a machine that has nothing else to offer. */
export interface DemoOrigin {
  readonly address: SocketAddress;
  close(): void;
}

const PAYLOAD = Buffer.alloc(64 * 1024, 'headgate\n');
const PAYLOAD_BYTES_MAX = 1024 ** 4;

/** Starts a small HTTP server on a free port of the loopback interface. */
export async function startDemoOrigin(): Promise<DemoOrigin> {
  const server: Server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://demo');
    const size = /^\/bytes\/(\d+)$/.exec(pathname)?.[1];
    if (pathname === '/') {
      response.setHeader('content-type', 'text/plain; charset=utf-8');
      response.end(
        `Hello from the demo upstream, through headgate.\n` +
          `You came from port ${request.socket.remotePort}; try /bytes/1000000000 as well.\n`,
      );
    } else if (size !== undefined && Number(size) <= PAYLOAD_BYTES_MAX) {
      let left = Number(size);
      response.setHeader('content-type', 'application/octet-stream');
      response.setHeader('content-length', left);
      const send = (): void => {
        while (left > 0 && !response.destroyed) {
          const chunk = left < PAYLOAD.length ? PAYLOAD.subarray(0, left) : PAYLOAD;
          left -= chunk.length;
          if (!response.write(chunk)) return;
        }
        response.end();
      };
      response.on('drain', send);
      send();
    } else {
      response.statusCode = 404;
      response.end('no such page; there are / and /bytes/N\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: { family: 'inet', host: '127.0.0.1', port },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
