import t from 'tap';
import type { LogSink } from '#src/control/logging/log-sink.js';
import { DataThread } from '#src/control/workers/data-thread.js';
import { ConnectionLimit, type WorkerSnapshot } from '#src/proxy/index.js';
import {
  createKernel,
  formatAddress,
  localAddress,
  openListener,
  Sockaddr,
  type SocketAddress,
} from '#src/splice/index.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { ExchangeOrigin, exchange } from '#test/support/worker/exchange.js';
import { plainUpstream } from '../../support/worker/upstream-snapshot.js';

const kernel = createKernel();

function listen(): { fd: number; address: SocketAddress } {
  const any = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
  const fd = openListener(kernel, any, { backlog: 16, reusePort: true, ipv6Only: false });
  return { fd, address: localAddress(kernel, fd) };
}

function start(fd: number, address: SocketAddress, endpoint: SocketAddress, lines: string[]) {
  const { snapshot: upstream, endpointTable } = plainUpstream('u', [endpoint]);
  const snapshot: WorkerSnapshot = {
    worker: 0,
    core: -1,
    ioUring: true,
    listeners: [
      { name: 'a', index: 0, fd, address: formatAddress(address), family: 'inet', upstream: 0 },
    ],
    upstreams: [upstream],
    endpointTable,
    timeouts: {
      connectMs: 1000,
      headMs: 1000,
      keepAliveMs: 1000,
      tlsHandshakeMs: 1000,
      idleMs: 10_000,
      requestMs: 0,
      responseMs: 0,
      tunnelMs: 10_000,
    },
    limits: {
      connectionsMax: 100,
      clientDescriptorsEnd: Number.POSITIVE_INFINITY,
      pipeMemoryBytes: 1024 * 1024,
      pipeBytes: 65536,
      headBytes: 8192,
      headers: 50,
      cachedFiles: 100,
    },
    log: { level: 'info', access: true },
  };
  const sink = {
    writeLines: (bytes: Uint8Array) =>
      lines.push(...Buffer.from(bytes).toString().trim().split('\n')),
  };
  const shared = ConnectionLimit.createMemory(1);
  return new DataThread(kernel, snapshot, shared, sink as unknown as LogSink);
}

t.test('data thread: the last lines of a worker reach the log', async (t) => {
  const origin = await ExchangeOrigin.start();
  const rounds = 5;
  let lost = 0;
  for (let round = 0; round < rounds; round++) {
    const lines: string[] = [];
    const { fd, address } = listen();
    const thread = start(fd, address, origin.address, lines);
    await thread.ready;
    await exchange(1, address, 'small', 3000);
    thread.send({ type: 'stop' });
    t.equal(await thread.gone, undefined, 'a clean end');
    if (!lines.some((line) => line.includes('"msg":"flow"'))) lost++;
  }
  t.equal(lost, 0, `of ${rounds} access lines`);
  await origin.close();
});

t.test('data thread: leaves no descriptor behind', async (t) => {
  const origin = await ExchangeOrigin.start();
  const before = descriptors();
  for (let round = 0; round < 3; round++) {
    const { fd, address } = listen();
    const thread = start(fd, address, origin.address, []);
    await thread.ready;
    thread.send({ type: 'stop' });
    await thread.gone;
  }
  t.same(descriptors(), before);
  await origin.close();
});

t.test('data thread: one that dies at the start says why', async (t) => {
  const { fd, address } = listen();
  const thread = start(fd, address, { family: 'inet', host: 'nowhere', port: 1 }, []);
  await t.rejects(thread.ready, /not an IPv4 address/);
  t.match(await thread.gone, /not an IPv4 address/);
  kernel.close(fd);
});
