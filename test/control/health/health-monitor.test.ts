// With real connections, the system's clock, and endpoints that come and go.
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import t, { type Test } from 'tap';
import { type HealthCheck, HealthMonitor, SlowStart } from '#src/control/health/index.js';
import { sleep, until } from '#test/support/deadline.js';
import { expectNothingLeft, resources } from '../discovery/leftovers.js';
import { recordedLog } from '../discovery/recorded-log.js';
import { endpointAt, serve, serveHttp } from './health-peer.js';

const check: HealthCheck = { intervalMs: 40, timeoutMs: 200, rise: 2, fall: 2 };

function open(t: Test, checksMax = 64) {
  const { logger, lines } = recordedLog();
  const monitor = new HealthMonitor({ logger, checksMax });
  t.teardown(() => monitor.stop());
  return { monitor, lines };
}

t.test('health monitor: an endpoint that dies and comes back', async (t) => {
  const { monitor, lines } = open(t);
  const server = http.createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const changes: string[] = [];
  const shares: number[] = [];
  const slowStart = new SlowStart(100, (share) => shares.push(share));
  const httpCheck = { ...check, http: { path: '/' } };
  monitor.watch(endpointAt(`127.0.0.1:${port}`), httpCheck, (state, reason, from) => {
    changes.push(`${state}: ${reason}`);
    if (state === 'up' && from === 'down') slowStart.begin();
    else slowStart.stop();
  });
  await until(3_000, 'up', () => changes.length === 1);
  server.close();
  server.closeAllConnections();
  await until(3_000, 'down', () => changes.length === 2);
  t.same(shares, []);
  server.listen(port, '127.0.0.1');
  await until(3_000, 'up again', () => changes.length === 3);
  t.same(changes, ['up: status 200', 'down: connection refused', 'up: status 200']);
  await until(3_000, 'the whole share', () => shares.at(-1) === 1_000);
  await sleep(100);
  t.equal(lines.length, 3, 'one line per change, none per check');
});

t.test('health monitor: an endpoint that flaps is neither up nor down for it', async (t) => {
  const { monitor, lines } = open(t);
  let requests = 0;
  const endpoint = await serveHttp(t, (_, response) => {
    response.writeHead(requests++ % 2 === 0 ? 200 : 503).end();
  });
  monitor.watch(endpoint, { ...check, intervalMs: 5, http: { path: '/' } }, () => t.fail());
  await until(3_000, 'some checks', () => requests > 20);
  t.equal(monitor.facts()[0]!.state, 'unknown');
  t.same(lines, []);
});

t.test('health monitor: many endpoints, few connections at a time', async (t) => {
  const { monitor } = open(t, 8);
  let active = 0;
  let most = 0;
  const addresses = new Set<string>();
  for (let index = 0; index < 40; index++) {
    const endpoint = await serve(t, (socket) => {
      most = Math.max(most, ++active);
      socket.once('data', async () => {
        await sleep(5);
        active--;
        socket.end('HTTP/1.1 204 No Content\r\n\r\n');
      });
    });
    monitor.watch(endpoint, { ...check, intervalMs: 500, http: { path: '/' } }, () => {
      addresses.add(endpoint.address.text);
    });
  }
  await until(10_000, 'all are up', () => addresses.size === 40);
  t.ok(most > 1 && most <= 8, `${most} at a time`);
});

t.test('health monitor: stopping in the middle of checks leaves nothing', async (t) => {
  const sockets = new Set<net.Socket>();
  const endpoint = await serve(t, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const before = resources();
  const { monitor } = open(t);
  for (const body of [undefined, 'ok']) {
    monitor.watch(endpoint, { ...check, http: { path: '/', body } }, () => t.fail());
  }
  monitor.watch(endpoint, { ...check, tls: { verify: true } }, () => t.fail());
  monitor.watch(endpointAt('127.0.0.1:1'), check, () => undefined);
  await until(3_000, 'a connection', () => sockets.size > 0);
  monitor.stop();
  monitor.stop();
  await expectNothingLeft(before);
});
