// Much at once, and for long.

import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import t from 'tap';
import { ByteStream } from '#test/support/bytes.js';
import { bodyOf, HttpRig, request } from '#test/support/http/http-rig.js';
import { missingFiles, testWith } from '#test/support/machine/capability.js';

const timeout = { timeout: 90_000 };
const GIGABYTE = 1_000_000_000;
const PIECE_BYTES = 1 << 20;
const FLAT_BYTES = 60 << 20;
const clientsCount = 2000;

const hello: http.RequestListener = async (request, response) => {
  const body = await bodyOf(request).catch(() => Buffer.alloc(0));
  response.end(`hello ${request.url} ${body.length}`);
};

/** Compares what comes with the stream; says where the first wrong byte is. */
async function expectStream(source: AsyncIterable<Buffer>, stream: ByteStream): Promise<number> {
  let position = 0;
  for await (const piece of source) {
    if (!stream.slice(position, piece.length).equals(piece))
      throw new Error(`wrong at ${position}`);
    position += piece.length;
  }
  return position;
}

async function sendStream(sink: http.OutgoingMessage, stream: ByteStream, length: number) {
  for (let position = 0; position < length; position += PIECE_BYTES) {
    const piece = stream.slice(position, Math.min(PIECE_BYTES, length - position));
    if (!sink.write(piece)) await once(sink, 'drain');
  }
  sink.end();
}

t.test('http endurance: a gigabyte up, a gigabyte down, flat memory', timeout, async (t) => {
  const [up, down] = [new ByteStream(1), new ByteStream(2)];
  const received: number[] = [];
  const rig = await HttpRig.start(t, async (request, response) => {
    if (request.method === 'POST') {
      received.push(await expectStream(request, up));
      response.end();
    } else {
      response.setHeader('content-length', GIGABYTE);
      await sendStream(response, down, GIGABYTE);
    }
  });
  await request(rig.url('/'), { method: 'POST' });
  const before = rig.headgate.residentBytes();

  const upload = http.request(rig.url('/'), { method: 'POST', agent: false });
  await sendStream(upload, up, GIGABYTE);
  const [answer] = (await once(upload, 'response')) as [http.IncomingMessage];
  t.equal(answer.statusCode, 200);
  t.same(received, [0, GIGABYTE], 'chunked, to the last byte');

  const download = http.get(rig.url('/'), { agent: false });
  const [response] = (await once(download, 'response')) as [http.IncomingMessage];
  t.equal(await expectStream(response, down), GIGABYTE);
  const grown = rig.headgate.residentBytes() - before;
  t.ok(grown < FLAT_BYTES, `${grown >> 20} MiB more`);
  await rig.finish();
});

testWith(
  missingFiles(3 * clientsCount),
  'http endurance: two thousand clients keep their connections',
  timeout,
  async (t) => {
    const rig = await HttpRig.start(t, hello, { config: { limits: { connections: 5000 } } });
    const clients = await Promise.all(
      Array.from({ length: clientsCount }, async () => {
        const socket = net.connect(rig.port, '127.0.0.1');
        await once(socket, 'connect');
        return socket;
      }),
    );
    for (const round of [1, 2, 3]) {
      const good = await Promise.all(
        clients.map(async (socket, index) => {
          socket.write(`GET /${index} HTTP/1.1\r\nHost: a\r\n\r\n`);
          const [answer] = (await once(socket, 'data')) as [Buffer];
          return `${answer}`.endsWith(`hello /${index} 0`);
        }),
      );
      t.equal(good.filter(Boolean).length, clientsCount, `round ${round}`);
    }
    for (const socket of clients) socket.destroy();
    await rig.finish();
  },
);
