// More clients than there are descriptors.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import t from 'tap';
import { until } from '#test/support/deadline.js';
import { startHeadgate } from '#test/support/programs/headgate.js';
import { expectCleanExit } from '#test/support/programs/rig.js';

const FILES_MAX = 192;
/** All before anybody has asked for anything, so that no upstream has taken a descriptor yet. */
const CLIENTS = 300;
const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

class Client {
  answer = '';
  readonly socket: Socket;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (bytes) => {
      this.answer += bytes.toString('latin1');
    });
    this.socket.on('error', () => {});
    this.socket.write(request.slice(0, 5));
  }

  ask(): void {
    this.answer = '';
    this.socket.write(request.slice(5));
  }
}

t.test('descriptors: quiet clients leave some to upstreams', { timeout: 60_000 }, async (t) => {
  const origin = createServer((_, response) => response.end('here'));
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  t.teardown(() => origin.close());
  const { port } = origin.address() as AddressInfo;
  const file = `${t.testdir()}/headgate.yaml`;
  const listeners = { web: { bind: '127.0.0.1:0', http: { routes: [{ upstream: 'origin' }] } } };
  const upstreams = { origin: { endpoints: [`127.0.0.1:${port}`] } };
  writeFileSync(file, JSON.stringify({ workers: 1, log: { access: false }, listeners, upstreams }));
  const headgate = await startHeadgate(['run', '-c', file], { filesMax: FILES_MAX });
  t.teardown(() => headgate.kill());

  const clients = Array.from({ length: CLIENTS }, () => new Client(headgate.port));
  t.teardown(() => {
    for (const { socket } of clients) socket.destroy();
  });
  const pauses = () => headgate.logs.filter(({ msg }) => msg.startsWith('accepting paused'));
  await until(10_000, 'accepting pauses', () => pauses().length > 0);
  t.match(pauses(), [{ reason: 'upstreams need the other descriptors' }]);
  const { sockets, others } = headgate.openFiles();
  t.ok(sockets + others < FILES_MAX - FILES_MAX / 8, `${sockets} sockets, ${others} others`);
  const cpu = await headgate.cpuSecondsDuring(1_000);
  t.ok(cpu < 0.2, `${cpu} s of CPU in 1 s of waiting`);

  // Each has its answer and goes, which lets another one in, until all have been served.
  for (const client of clients) client.ask();
  const left = new Set(clients);
  const broken: string[] = [];
  await until(
    30_000,
    'everybody has an answer',
    () => {
      for (const client of left) {
        if (!client.answer.endsWith('here')) continue;
        if (!client.answer.startsWith('HTTP/1.1 200 ')) broken.push(client.answer);
        client.socket.destroy();
        left.delete(client);
      }
      return left.size === 0;
    },
    () => `${left.size} left: ${[...left][0]!.answer.slice(0, 40)}`,
  );
  t.same(broken, []);
  t.equal(pauses().length, 1, 'one line about it');
  await expectCleanExit(t, headgate);
});
