// Another configuration while requests go on: none fails, and kept connections go by the new routes.
import http from 'node:http';
import net from 'node:net';
import t, { type Test } from 'tap';
import { start } from '#src/index.js';
import { addressOf } from '#test/support/control/live-proxy.js';
import { sleep } from '#test/support/deadline.js';
import { request } from '#test/support/http/http-rig.js';

const timeout = { timeout: 60_000 };

async function startOrigin(t: Test, name: string): Promise<string> {
  const origin = http.createServer({ keepAliveTimeout: 60_000 }, async (_request, response) => {
    await sleep(2);
    response.end(name);
  });
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    origin.closeAllConnections();
    origin.close();
  });
  return `127.0.0.1:${(origin.address() as net.AddressInfo).port}`;
}

t.test('http reload: under load no request fails', timeout, async (t) => {
  const endpoints = [await startOrigin(t, 'one'), await startOrigin(t, 'other')];
  const text = (round: number) => `workers: 2
log: { level: silent }
limits: { connections: ${1000 + round} }
listeners:
  web:
    bind: "127.0.0.1:0"
    http: { routes: [{ upstream: app }] }
upstreams: { app: { endpoints: ["${endpoints[round % 2]}"] } }`;
  const headgate = await start(text(0));
  t.teardown(() => headgate.close());
  const url = `http://${addressOf(headgate, 'web')}/`;
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const counts = new Map<string, number>();
  let isOver = false;
  const clients = Array.from({ length: 16 }, async (_, index) => {
    // Half of them keep their connections.
    const options = index % 2 === 0 ? { agent } : {};
    while (!isOver) {
      const answer = await request(url, options).then(
        ({ status, body }) => `${status} ${body}`,
        (error: Error) => error.message,
      );
      counts.set(answer, (counts.get(answer) ?? 0) + 1);
    }
  });
  for (let round = 1; round <= 8; round++) {
    await sleep(150);
    t.match(await headgate.reload(text(round)), { ok: true });
  }
  await sleep(100);
  isOver = true;
  await Promise.all(clients);
  t.same([...counts.keys()].sort(), ['200 one', '200 other'], `${JSON.stringify([...counts])}`);

  const kept = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.equal(`${(await request(url, { agent: kept })).body}`, 'one');
  await headgate.reload(text(9));
  t.equal(`${(await request(url, { agent: kept })).body}`, 'other', 'over the same connection');
  agent.destroy();
  kept.destroy();
});

for (const [kind, earlier] of [
  ['a new connection', 0],
  ['one that was idle', 1],
] as const) {
  t.test(`http reload: a retry goes by the new one, after ${kind}`, timeout, async (t) => {
    const sockets: net.Socket[] = [];
    let heard = 0;
    const leaving = net.createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.on('data', () => {
        if (heard++ < earlier) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      });
    });
    await new Promise<void>((resolve) => leaving.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
      leaving.close();
    });
    const { port } = leaving.address() as net.AddressInfo;
    const text = (endpoint: string) => `workers: 1
log: { level: silent }
listeners:
  web:
    bind: "127.0.0.1:0"
    http: { routes: [{ upstream: app }] }
upstreams: { app: { endpoints: ["${endpoint}"] } }`;
    const headgate = await start(text(`127.0.0.1:${port}`));
    t.teardown(() => headgate.close());
    const url = `http://${addressOf(headgate, 'web')}/`;
    for (let round = 0; round < earlier; round++) t.equal((await request(url)).status, 200);
    const answer = request(url);
    while (heard <= earlier) await sleep(5);
    t.match(await headgate.reload(text(await startOrigin(t, 'other'))), { ok: true });
    sockets[0]!.destroy();
    const { status, body } = await answer;
    t.equal(`${status} ${body}`, '200 other');
    t.equal(sockets.length, 1, 'nobody asks an endpoint that was taken away');
  });
}
