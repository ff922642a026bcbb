// WebSocket by `ws` on both sides: after 101 (Switching Protocols) the connection is a tunnel.
import { once } from 'node:events';
import http from 'node:http';
import t from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { ByteStream } from '#test/support/bytes.js';
import { HttpRig, request } from '#test/support/http/http-rig.js';

const timeout = { timeout: 60_000 };
const sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 16 << 20];

/** An origin that echoes messages and answers other requests. */
async function startEcho(t: Parameters<typeof HttpRig.start>[0]) {
  const rig = await HttpRig.start(t, (request, response) => response.end(`plain ${request.url}`));
  const server = new WebSocketServer({ server: rig.origin, maxPayload: 32 << 20 });
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate();
  });
  server.on('connection', (socket) => {
    socket.on('message', (data, binary) => {
      if (`${data}`.startsWith('close ')) socket.close(Number(`${data}`.slice(6)), 'as you wish');
      else socket.send(data, { binary });
    });
    socket.on('error', () => {});
  });
  return { rig, server };
}

async function open(rig: HttpRig, path = '/', options: WebSocket.ClientOptions = {}) {
  const socket = new WebSocket(rig.url(path).replace('http:', 'ws:'), options);
  await once(socket, 'open');
  return socket;
}

async function echo(socket: WebSocket, message: Buffer | string): Promise<Buffer> {
  socket.send(message);
  const [data] = (await once(socket, 'message')) as [Buffer];
  return data;
}

t.test('http websocket: messages of every size come back', timeout, async (t) => {
  const { rig } = await startEcho(t);
  for (const perMessageDeflate of [false, true]) {
    const socket = await open(rig, '/', { perMessageDeflate, maxPayload: 32 << 20 });
    for (const size of sizes) {
      const message = new ByteStream(size).slice(0, size);
      t.ok(message.equals(await echo(socket, message)), `${size} bytes`);
    }
    socket.close();
    await once(socket, 'close');
  }
  await rig.finish();
});

t.test('http websocket: pings, pongs, and close codes both ways', timeout, async (t) => {
  const { rig, server } = await startEcho(t);
  const socket = await open(rig);
  socket.ping('are you there');
  const [pong] = (await once(socket, 'pong')) as [Buffer];
  t.equal(`${pong}`, 'are you there');
  const [other] = [...server.clients];
  other!.ping('and you');
  t.equal(`${((await once(other!, 'pong')) as [Buffer])[0]}`, 'and you');
  socket.send('close 4001');
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  t.equal(`${code} ${reason}`, '4001 as you wish');

  const second = await open(rig);
  const seen = once([...server.clients].at(-1)!, 'close') as Promise<[number, Buffer]>;
  second.close(3000, 'enough');
  t.equal((await seen)[0], 3000);
  await rig.finish();
});

t.test('http websocket: the first message may come with the request', timeout, async (t) => {
  const { rig } = await startEcho(t);
  const key = Buffer.alloc(16).toString('base64');
  const headers = {
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': key,
    'sec-websocket-version': '13',
  };
  const request = http.request(rig.url('/'), { headers, agent: false });
  request.flushHeaders();
  const socket = await new Promise<import('node:net').Socket>((resolve) => {
    request.once('socket', (socket) => {
      // A masked text frame, mask 0: "hi".
      socket.once('connect', () => socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])));
    });
    request.once('upgrade', (_response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
  });
  const [frame] = (await once(socket, 'data')) as [Buffer];
  t.same([...frame], [0x81, 2, 0x68, 0x69]);
  socket.destroy();
  await rig.finish();
});

t.test('http websocket: a refusal is an answer, and the connection goes on', timeout, async (t) => {
  const rig = await HttpRig.start(t, (_request, response) => response.end('no'));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const headers = { connection: 'upgrade', upgrade: 'websocket' };
  const answer = await request(rig.url('/'), { agent, headers });
  t.equal(`${answer.status} ${answer.body}`, '200 no');
  t.equal((await request(rig.url('/'), { agent })).status, 200);
  agent.destroy();
  await rig.finish();
});

t.test('http websocket: a hundred at once beside plain requests', timeout, async (t) => {
  const { rig } = await startEcho(t);
  const sockets = await Promise.all(Array.from({ length: 100 }, () => open(rig)));
  for (let round = 0; round < 5; round++) {
    const all = await Promise.all([
      ...sockets.map(async (socket, index) => `${await echo(socket, `${index}`)}` === `${index}`),
      ...Array.from({ length: 50 }, async () => (await request(rig.url('/p'))).status === 200),
    ]);
    t.equal(all.filter(Boolean).length, 150);
  }
  for (const socket of sockets) socket.terminate();
  await rig.finish();
});
