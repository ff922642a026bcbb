// What happens to an exchange in the same turn as something else, or before it is ready for it.
import type { Test } from 'tap';
import type { HttpConnection } from '#src/proxy/http/connection/connection.js';
import { ExchangeState } from '#src/proxy/http/exchange/exchange-state.js';
import type { NativeMemory } from '#src/splice/index.js';
import { Socket, SocketOption } from '#src/splice/index.js';
import { ExchangeRig, exchangeTest, GET, OK } from '#test/support/http/exchange-rig.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, socketTest } from '#test/support/sockets/socket-kit.js';
import { clientContext, serverContexts } from '#test/support/tls/tls-pair.js';
import { TlsPeer } from '#test/support/tls/tls-peer.js';

const PUT = 'PUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n';

function putOffTurn(rig: ExchangeRig, t: Test): void {
  const first = rig.room.client();
  rig.say(first, PUT);
  const upstream = rig.upstream();
  rig.hear(upstream, PUT);
  const [connection] = rig.room.sessions() as HttpConnection[];
  const exchange = connection!.exchange!;
  const second = rig.room.client();
  rig.room.settle();
  // Between this turn and its task, one request ends and another one takes the exchange.
  exchange.defer();
  first.reset();
  pause(5);
  second.send(Buffer.from(`${PUT}hello`));
  pause(5);
  rig.room.clock.turn();
  t.ok(exchange.connection !== connection, 'it has another request');
  t.equal(exchange.state, ExchangeState.dialling);
  const other = rig.upstream();
  rig.hear(other, `${PUT}hello`);
  rig.relay(second, other, 'world');
  rig.relay(other, second, OK);
  rig.expectReset(upstream);
}

// Where reads are made together, a reset comes after requests of the same turn: then there is no such turn.
exchangeTest('a turn that was put off is not the next request’s', putOffTurn, {
  sharesCalls: false,
});

exchangeTest('a turn that was put off and comes after the end does nothing', (rig) => {
  const { client, upstream } = rig.begin();
  const [connection] = rig.room.sessions() as HttpConnection[];
  connection!.exchange!.defer();
  rig.relay(upstream, client, OK);
  rig.relay(client, upstream, GET);
  rig.relay(upstream, client, OK);
});

exchangeTest('a body that stops coming behind its answer ends in good order', (rig) => {
  const { client, upstream } = rig.begin(`${PUT}hello`);
  rig.relay(upstream, client, OK);
  rig.room.pass(13_000);
  rig.expectReset(upstream);
  rig.expectEnd(client);
});

const CLOSE = 'Connection: close\r\n\r\n';
/** What the client hears of {@link OK} then. */
const LAST_OK = OK.replace('\r\n\r\n', `\r\n${CLOSE}`);

/** What the client's socket was told from the response on, and whether its bytes were to wait for more. */
function told(rig: ExchangeRig, fd: number): (string | boolean)[][] {
  const calls = rig.room.libc.trace.filter(({ name, args }) => name !== 'recv' && args[0] === fd);
  return calls.map(({ name, args }) =>
    name === 'send' ? [name, (args[3]! & Socket.MSG_MORE) !== 0] : [name],
  );
}

/** Forgets what the client's socket was told so far. @returns it */
function beginTrace(rig: ExchangeRig): number {
  rig.room.libc.trace.length = 0;
  return (rig.room.sessions()[0] as HttpConnection).transport.fd;
}

/** The client asks for the end of its connection, which is no business of the origin's. */
function beginLast(rig: ExchangeRig, request: string): { client: RawPeer; upstream: RawPeer } {
  const client = rig.room.client();
  rig.say(client, request.replace('\r\n\r\n', `\r\n${CLOSE}`));
  const upstream = rig.upstream();
  rig.hear(upstream, request);
  return { client, upstream };
}

exchangeTest('the last response and the FIN behind it go out together', (rig, t) => {
  const { client, upstream } = beginLast(rig, GET);
  const fd = beginTrace(rig);
  rig.say(upstream, OK);
  rig.hear(client, LAST_OK);
  t.same(told(rig, fd), [['send', true], ['shutdown'], ['close']]);
  rig.expectEnd(client);
});

exchangeTest('the last response is not lost because the client says more', (rig) => {
  const { client, upstream } = beginLast(rig, GET);
  // Both are there before the worker looks, and the response is served first or second.
  upstream.send(Buffer.from(OK));
  client.send(Buffer.from('\r\n\r\n'));
  rig.room.settle();
  rig.hear(client, LAST_OK);
});

exchangeTest('a response that is followed by another one waits for nothing', (rig, t) => {
  const { client, upstream } = rig.begin();
  const fd = beginTrace(rig);
  rig.relay(upstream, client, OK);
  t.same(told(rig, fd), [['send', false]]);
});

exchangeTest('a last response that is not whole yet waits for nothing', (rig, t) => {
  const { client, upstream } = beginLast(rig, GET);
  const fd = beginTrace(rig);
  rig.say(upstream, OK.slice(0, -1));
  rig.hear(client, LAST_OK.slice(0, -1));
  t.same(told(rig, fd), [['send', false]]);
  rig.relay(upstream, client, 'k');
  rig.expectEnd(client);
});

exchangeTest('an answer before the end of its request waits for nothing', (rig, t) => {
  const { client, upstream } = beginLast(rig, PUT);
  const fd = beginTrace(rig);
  rig.say(upstream, OK);
  rig.hear(client, LAST_OK);
  t.same(told(rig, fd), [['send', false]], 'the rest of the upload may take its time');
  rig.relay(client, upstream, 'helloworld');
  rig.expectEnd(client);
});

exchangeTest('an endpoint that goes away behind an early answer ends the upload', (rig) => {
  const { client, upstream } = rig.begin(`${PUT}hello`);
  rig.relay(upstream, client, OK);
  upstream.reset();
  rig.room.settle();
  rig.say(client, 'w');
  rig.expectEnd(client);
  client.end();
});

for (const method of ['POST', 'PUT']) {
  for (const sentBytes of [40_000, 20_000]) {
    const isRepeatable = method === 'PUT' && sentBytes === 40_000;
    exchangeTest(
      `${method} of 40 kB, ${sentBytes} with the head: kept as long as it may be repeated`,
      (rig, t) => {
        const { buffers } = rig.room.http;
        const held: NativeMemory[] = [];
        const { takeBuffer, takeFor, give } = buffers;
        const note = (memory: NativeMemory): NativeMemory => {
          if (memory.byteLength > buffers.blockBytes) held.push(memory);
          return memory;
        };
        buffers.takeBuffer = () => note(takeBuffer.call(buffers));
        buffers.takeFor = (bytes) => note(takeFor.call(buffers, bytes));
        buffers.give = (memory) => {
          if (held.includes(memory)) held.splice(held.indexOf(memory), 1);
          give.call(buffers, memory);
        };
        const head = `${method} /b HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nContent-Length: 40000\r\n\r\n`;
        const client = rig.room.client();
        rig.say(client, head + 'x'.repeat(sentBytes));
        const upstream = rig.upstream();
        rig.hear(upstream, head + 'x'.repeat(sentBytes));
        const rest = 'y'.repeat(40_000 - sentBytes);
        if (rest !== '') rig.relay(client, upstream, rest);
        t.equal(held.length, isRepeatable ? 1 : 0, 'large blocks');
        rig.room.pass(61_000);
        rig.expectReset(upstream);
        rig.room.until(() => {
          client.receive();
          return client.isEnded || client.received.includes('}');
        });
        const answer = client.received.toString('latin1');
        t.match(answer, /^HTTP\/1\.1 504 /);
        t.match(answer, /\r\ncontent-type: application\/(problem\+)?json/i, 'as the client asked');
        t.equal(held.length, 0);
        client.end();
      },
    );
  }
}

const contexts = serverContexts();
const trusting = clientContext();
process.once('exit', () => {
  contexts.release();
  trusting.release();
});

for (const body of [
  ['Content-Length: 50', 'x'.repeat(50)],
  ['Transfer-Encoding: chunked', `30\r\n${'x'.repeat(48)}\r\n0\r\n\r\n`],
] as const) {
  socketTest(`exchange: ${body[0]}, in pieces while the endpoint shakes hands`, (t, kit) => {
    const upstreamTls = { context: trusting, kernel: 'off' as const };
    const rig = new ExchangeRig(t, kit, { upstreamTls });
    const head = `PUT /b HTTP/1.1\r\nHost: x\r\n${body[0]}\r\n\r\n`;
    const client = rig.room.client();
    rig.say(client, head);
    for (const byte of body[1].slice(0, 20)) rig.say(client, byte);
    const socket = rig.upstream();
    const upstream = TlsPeer.secure(kit, socket, contexts, () => rig.room.clock.turn());
    // Nothing of the endpoint's that could wake anybody comes meanwhile.
    for (const byte of body[1].slice(20)) rig.say(client, byte);
    upstream.receive();
    t.equal(`${upstream.received}`, head + body[1]);
    // In a handshake acknowledgements must not wait for what is sent: for a while nothing is.
    const { trace } = rig.room.libc;
    const [fd] = trace.find(({ name }) => name === 'connect')!.args;
    const options = trace.filter(({ name, args }) => name === 'setsockopt' && args[0] === fd);
    t.ok(options.every(({ args }) => args[2] !== SocketOption.TCP_QUICKACK));
    upstream.send(Buffer.from(OK));
    rig.hear(client, OK);
    rig.finish();
    upstream.close();
  });
}

const bounded = {
  ...plainHttp,
  routes: [{ ...plainHttp.routes[0]!, guard: { ...plainHttp.routes[0]!.guard, bodyMax: 100 } }],
};

exchangeTest(
  'what comes behind a body that turns out too long at its end is no request',
  (rig, t) => {
    const client = rig.room.client();
    const head = 'PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';
    rig.say(client, head);
    const upstream = rig.upstream();
    rig.hear(upstream, head);
    // The limit, the end of the body and a part of the next request, all in one piece.
    rig.say(client, `ff\r\n${'x'.repeat(0xff)}\r\n0\r\n\r\nPUT /b HTTP/1.1\r\nHo`);
    rig.hearStatus(client, 413);
    t.match(`${client.received}`, 'Connection: close');
    rig.say(client, 'st: x\r\nContent-Length: 29\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n');
    rig.expectEnd(client);
    rig.expectReset(upstream);
    client.end();
    rig.room.settle();
    t.same(rig.room.sessions(), []);
    t.equal(rig.room.count('connect_attempts'), 1);
  },
  { http: bounded },
);

for (const [what, framing, status] of [
  ['is longer than may be', 'Content-Length: 1000000', 413],
  ['has bad chunks', 'Transfer-Encoding: chunked\r\n\r\nxyz', 400],
  ['has bad chunks at its end', 'Transfer-Encoding: chunked\r\n\r\n0\r\n\rX', 400],
  ['is framed in an unknown way', 'Transfer-Encoding: gzip', 501],
] as const) {
  exchangeTest(
    `a client whose body ${what} reads why, while it goes on sending`,
    (rig, t) => {
      const client = rig.room.client();
      rig.say(client, `PUT /a HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n`);
      // Long after the answer: a closed socket would answer these with a reset.
      for (let piece = 0; piece < 20; piece++) rig.say(client, 'x'.repeat(10_000));
      t.equal(client.errno, 0, 'everything could be sent');
      rig.hearStatus(client, status);
      rig.expectEnd(client);
      client.end();
      rig.room.settle();
      t.same(rig.room.sessions(), []);
    },
    { http: bounded },
  );
}
