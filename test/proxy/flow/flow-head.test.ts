import { FlowState } from '#src/proxy/flow/flow-state.js';
import {
  type ProxyEndpoints,
  Rejection,
  rejectionNames,
  writeProxyV1,
} from '#src/proxy/tcp/index.js';
import { sourceKeyOf } from '#src/proxy/upstream/index.js';
import { Errno, Socket } from '#src/splice/index.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';
import { hello, serverName } from '../tcp/hello-builder.js';

const named = hello({ extensions: [serverName('db.example.com')] });
const routed = { head: { routes: [{ names: ['db.example.com'], upstream: 0 }] } };
const loopback = [{ bytes: [127, 0, 0, 0], prefixBits: 8 }];
const proxied = { head: { acceptProxyFrom: loopback } };
const told: ProxyEndpoints = {
  source: { family: 'inet', host: '192.0.2.7', port: 5555 },
  destination: { family: 'inet', host: '198.51.100.9', port: 443 },
};

function proxyLine(): Buffer {
  const into = Buffer.alloc(107);
  return into.subarray(0, writeProxyV1(into, told));
}

function rejected(room: TestRoom, rejection: Rejection): number {
  return room.counters.rejectedOf(0, rejection - 1);
}

socketTest('flow head: a plain forwarder pays nothing for it', async (t, kit) => {
  const room = new TestRoom(kit);
  room.tunnel();
  t.equal(room.listener.head, undefined);
  for (const call of ['getpeername', 'getsockname', 'ioctl'] as const) {
    t.equal(room.libc.count(call), 0, call);
  }
  const peeks = room.libc.trace.filter(
    ({ name, args }) => name === 'recv' && (args[3]! & Socket.MSG_PEEK) !== 0,
  );
  t.equal(peeks.length, 0);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow head: nothing is connected before the head is whole', async (t, kit) => {
  const room = new TestRoom(kit, routed);
  const client = room.client();
  client.send(named.subarray(0, 40));
  room.settle();
  t.equal(room.flows()[0]!.state, FlowState.readingHead);
  t.equal(room.count('connect_attempts'), 0);
  client.send(named.subarray(40));
  room.until(() => room.count('connect_attempts') === 1);
  const upstream = room.upstream();
  room.until(() => upstream.receive() >= 0 && upstream.receivedBytes === named.length);
  t.same(upstream.received, named);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow head: a FIN right behind the head is passed on', async (t, kit) => {
  const room = new TestRoom(kit, routed);
  const client = room.client();
  client.send(named);
  client.end();
  room.until(() => room.count('connect_attempts') === 1);
  const upstream = room.upstream();
  room.until(() => upstream.receive() >= 0 && upstream.isEnded);
  t.same(upstream.received, named);
  upstream.send(Buffer.from('answer'));
  upstream.end();
  room.until(() => room.flowsEnded === 1);
  client.receive();
  t.equal(client.received.toString(), 'answer');
  t.equal(room.closed('done'), 1);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow head: behind a PROXY header alone the next byte is heard', async (t, kit) => {
  const room = new TestRoom(kit, proxied);
  const client = room.client();
  client.send(proxyLine());
  room.until(() => room.count('connect_attempts') === 1);
  const upstream = room.upstream();
  room.settle();
  t.equal(room.flows()[0]!.clientText, '192.0.2.7:5555');
  upstream.receive();
  t.equal(upstream.receivedBytes, 0);
  client.send(Buffer.from('later'));
  room.until(() => upstream.receive() >= 0 && upstream.receivedBytes === 5);
  t.equal(upstream.received.toString(), 'later');
  t.same(room.finish(), nothingLeft);
});

socketTest('flow head: the time for it is bounded, however it trickles', async (t, kit) => {
  const room = new TestRoom(kit, { ...routed, timeouts: { headMs: 500 } });
  const client = room.client();
  room.until(() => room.flows().length === 1);
  for (let at = 0; at < 10; at++) {
    client.send(named.subarray(at, at + 1));
    room.pass(80);
  }
  room.until(() => room.flowsEnded === 1);
  t.equal(room.closed('head_timeout'), 1);
  t.equal(rejected(room, Rejection.head_timeout), 1);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow head: connecting has its whole time after a slow head', async (t, kit) => {
  const room = new TestRoom(kit, { ...routed, timeouts: { headMs: 5000, connectMs: 300 } });
  const client = room.client();
  room.until(() => room.flows().length === 1);
  room.pass(1000);
  room.libc.fail('socket', Errno.EMFILE, Errno.EMFILE);
  client.send(named);
  room.until(() => room.count('connect_failures') === 1);
  room.pass(200);
  const upstream = room.upstream();
  room.until(() => upstream.receive() >= 0 && upstream.receivedBytes === named.length);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow head: a head that is refused is counted once, by why', async (t, kit) => {
  const room = new TestRoom(kit, routed);
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n'), hello()]) room.client().send(bytes);
  room.until(() => room.flowsEnded === 2);
  t.equal(room.closed('head_rejected'), 2);
  t.equal(rejected(room, Rejection.plain_http), 1);
  t.equal(rejected(room, Rejection.server_name_unknown), 1);
  const all = rejectionNames.map((_, reason) => room.counters.rejectedOf(0, reason));
  t.equal(
    all.reduce((sum, count) => sum + count),
    2,
  );
  t.same(room.finish(), nothingLeft);
});

for (const [how, answer, reason] of [
  ['takes a part of it', 5, 'error'],
  ['takes nothing of it', -Errno.EAGAIN, 'error'],
  ['is gone', -Errno.EPIPE, 'upstream_reset'],
] as const) {
  socketTest(`flow head: a PROXY header to an endpoint that ${how}`, async (t, kit) => {
    const room = new TestRoom(kit, {
      sendProxyProtocol: { version: 'v2', tlvs: [], crc32c: false },
    });
    const client = room.client();
    room.libc.script('send', () => answer);
    room.until(() => room.flowsEnded === 1);
    room.libc.script('send');
    t.equal(room.closed(reason), 1);
    room.until(() => client.receive() >= 0 && client.errno === Errno.ECONNRESET);
    t.same(room.finish(), nothingLeft);
  });
}

socketTest('flow head: a client without an address any more is gone', async (t, kit) => {
  const room = new TestRoom(kit, { sendProxyProtocol: { version: 'v1', tlvs: [], crc32c: false } });
  room.client();
  room.libc.fail('getpeername', Errno.ENOTCONN);
  room.until(() => room.flowsEnded === 1);
  t.equal(room.closed('client_reset'), 1);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow head: a client has one key, seen or told', async (t) => {
  const { source } = told;
  const mapped = { family: 'inet6', host: '::ffff:192.0.2.7', port: 1 } as const;
  t.equal(sourceKeyOf(source), sourceKeyOf({ ...source, port: 1 } as typeof source));
  t.equal(sourceKeyOf(source), sourceKeyOf(mapped));
});

socketTest('flow head: draining lets go of who says nothing, and of nobody else', (t, kit) => {
  const room = new TestRoom(kit, { ...routed, timeouts: { headMs: 5000 } });
  const [silent, late, partial, whole] = [0, 1, 2, 3].map(() => room.client());
  room.until(() => room.flows().length === 4);
  partial!.send(named.subarray(0, 40));
  room.settle();
  for (const flow of room.flows()) flow.drain();
  room.pass(600);
  whole!.send(named);
  room.until(() => room.count('connect_attempts') === 1);
  room.pass(300);
  t.equal(room.closed('drained'), 0, 'who has just come may be about to speak');
  // In the socket, and its event not yet heard of, when the time is up.
  room.libc.script('epoll_wait', () => 0);
  late!.send(named);
  room.pass(200);
  room.libc.script('epoll_wait', (args, real) => real(...args.with(3, 0)));
  t.equal(room.closed('drained'), 1);
  t.equal(room.count('connect_attempts'), 2);
  room.settle();
  t.ok(silent!.receive() === 0 && silent!.isEnded, 'with a FIN');
  partial!.send(named.subarray(40));
  room.until(() => room.count('connect_attempts') === 3);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow head: who comes while draining is waited for a moment, too', (t, kit) => {
  const room = new TestRoom(kit, { ...routed, timeouts: { headMs: 5000 } });
  room.isDraining = true;
  room.client();
  room.until(() => room.flows().length === 1);
  room.pass(1100);
  t.equal(room.closed('drained'), 1);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow head: half a head has the rest of its time, also while draining', (t, kit) => {
  const room = new TestRoom(kit, { ...routed, timeouts: { headMs: 2000 } });
  room.client().send(named.subarray(0, 40));
  room.until(() => room.flows().length === 1);
  room.settle();
  for (const flow of room.flows()) flow.drain();
  room.pass(1500);
  t.equal(room.closed('head_timeout'), 0);
  room.pass(600);
  t.equal(room.closed('head_timeout'), 1);
  t.equal(rejected(room, Rejection.head_timeout), 1);
  t.same(room.finish(), nothingLeft);
});
