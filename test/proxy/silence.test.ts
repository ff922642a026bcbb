// A client that owes the first word, while the proxy is stopping: by the clock of the test.
import { type ProxyEndpoints, writeProxyV1 } from '#src/proxy/tcp/index.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { serverContexts } from '#test/support/tls/tls-pair.js';
import { nothingLeft, type RoomOptions, TestRoom } from '#test/support/worker/worker-room.js';
import { hello } from './tcp/hello-builder.js';

const timeouts = { headMs: 5000, tlsHandshakeMs: 5000, keepAliveMs: 20_000 };
const head = { acceptProxyFrom: [{ bytes: [127, 0, 0, 0], prefixBits: 8 }] };
const told: ProxyEndpoints = {
  source: { family: 'inet', host: '192.0.2.7', port: 5555 },
  destination: { family: 'inet', host: '198.51.100.9', port: 443 },
};

function header(): Buffer {
  const into = Buffer.alloc(107);
  return into.subarray(0, writeProxyV1(into, told));
}

/** @param isSecure the listener speaks TLS */
function withRoom(
  kit: SocketKit,
  options: RoomOptions,
  isSecure: boolean,
  run: (room: TestRoom) => void,
): Record<string, number> {
  const contexts = serverContexts();
  const tls = isSecure ? { tls: { contexts, kernel: 'off' as const } } : {};
  const room = new TestRoom(kit, { timeouts, ...options, ...tls });
  run(room);
  const left = room.finish();
  contexts.release();
  return left;
}

function drain(room: TestRoom, sessions: number): void {
  room.until(() => room.sessions().length === sessions);
  room.isDraining = true;
  for (const session of room.sessions()) session.drain();
}

for (const [what, options, isSecure, patienceMs] of [
  ['TLS', {}, true, 1000],
  ['TLS and HTTP', { http: plainHttp }, true, 1000],
  ['HTTP', { http: plainHttp }, false, 500],
  ['a PROXY header', { head }, false, 1000],
  ['a PROXY header and TLS', { head }, true, 1000],
  ['a PROXY header and HTTP', { head, http: plainHttp }, false, 1000],
] as const) {
  socketTest(`silence: ${what} that does not come`, async (t, kit) => {
    const left = withRoom(kit, options, isSecure, (room) => {
      const early = room.client();
      drain(room, 1);
      const late = room.client();
      room.until(() => room.sessions().length === 2);
      room.pass(patienceMs - 100);
      t.equal(room.closed('drained'), 0, 'it may be about to speak');
      room.pass(200);
      t.equal(room.closed('drained'), 2);
      room.settle();
      for (const client of [early, late]) {
        t.ok(client.receive() === 0 && client.isEnded, 'with a FIN');
      }
    });
    t.same(left, nothingLeft);
  });
}

for (const http of [undefined, plainHttp]) {
  const kind = http === undefined ? 'TCP' : 'HTTP';

  socketTest(`silence: a handshake that has begun has its time, ${kind}`, async (t, kit) => {
    const left = withRoom(kit, http ? { http } : {}, true, (room) => {
      const client = room.client();
      room.until(() => room.sessions().length === 1);
      client.send(hello({}).subarray(0, 40));
      room.settle();
      drain(room, 1);
      room.pass(4800);
      t.equal(room.closed('drained') + room.closed('tls_timeout'), 0);
      room.pass(300);
      t.equal(room.closed('tls_timeout'), 1);
    });
    t.same(left, nothingLeft);
  });

  socketTest(`silence: what came this very moment counts, ${kind}`, async (t, kit) => {
    const left = withRoom(kit, http ? { http } : {}, true, (room) => {
      const client = room.client();
      drain(room, 1);
      room.pass(900);
      // In the socket, and its event not yet heard of, when the time is up.
      room.libc.script('epoll_wait', () => 0);
      client.send(hello({}).subarray(0, 40));
      room.pass(200);
      room.libc.script('epoll_wait', (args, real) => real(...args.with(3, 0)));
      t.equal(room.closed('drained'), 0);
    });
    t.same(left, nothingLeft);
  });

  socketTest(`silence: it begins with the last word, ${kind}`, async (t, kit) => {
    const left = withRoom(kit, { head, ...(http && { http }) }, true, (room) => {
      const client = room.client();
      drain(room, 1);
      room.pass(900);
      client.send(header());
      room.settle();
      room.pass(900);
      t.equal(room.closed('drained'), 0, 'a second from the header on');
      room.pass(200);
      t.equal(room.closed('drained'), 1);
    });
    t.same(left, nothingLeft);
  });
}
