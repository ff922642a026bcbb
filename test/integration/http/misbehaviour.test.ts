// Clients and upstreams that are slow, leave in the middle, or are there when the proxy is told to stop.
import http from 'node:http';
import net from 'node:net';
import t from 'tap';
import { sleep, until } from '#test/support/deadline.js';
import { bodyOf, HttpRig, request } from '#test/support/http/http-rig.js';
import { closed } from '#test/support/peers/closed.js';
import { Random } from '#test/support/random.js';

const timeout = { timeout: 90_000 };

const hello: http.RequestListener = async (request, response) => {
  const body = await bodyOf(request).catch(() => Buffer.alloc(0));
  response.end(`hello ${request.url} ${body.length}`);
};

/** The end of a connection, whether in good order or not. */
function closeOf(socket: net.Socket): Promise<void> {
  socket.on('error', () => {});
  return closed(socket);
}

t.test('http misbehaviour: heads that come drop by drop hold nobody up', timeout, async (t) => {
  const rig = await HttpRig.start(t, hello, { config: { timeouts: { head: '1s' } } });
  const slow = Array.from({ length: 100 }, () => {
    const socket = net.connect(rig.port, '127.0.0.1');
    const timer = setInterval(() => socket.write('X'), 100);
    const closed = closeOf(socket).then(() => clearInterval(timer));
    socket.resume();
    socket.write('GET / HTTP/1.1\r\nX: ');
    return closed;
  });
  const start = performance.now();
  const answers = await Promise.all(Array.from({ length: 50 }, () => request(rig.url('/'))));
  t.ok(answers.every(({ status }) => status === 200));
  await Promise.all(slow);
  t.ok(performance.now() - start < 10_000, 'all of them were shown out');
  await rig.finish();
});

t.test('http misbehaviour: who leaves in the middle takes nothing along', timeout, async (t) => {
  const random = new Random(Random.seed());
  t.comment(`SEED=${random.seed}`);
  const rig = await HttpRig.start(t, (request, response) => {
    const breaksOff = (chance: number) => {
      if (random.oneIn(chance)) request.socket.destroy();
      return request.socket.destroyed;
    };
    if (request.url === '/good') return hello(request, response);
    if (breaksOff(8)) return;
    request.on('data', () => breaksOff(8));
    request.on('error', () => {});
    request.on('end', () => {
      if (breaksOff(8)) return;
      response.write('x'.repeat(random.between(1, 100_000)));
      if (!breaksOff(8)) response.end('the end');
    });
  });
  const client = async () => {
    const socket = net.connect(rig.port, '127.0.0.1');
    const closed = closeOf(socket);
    const body = 'y'.repeat(random.between(0, 50_000));
    const text = random.pick([
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(random.between(1, 5)),
    ]);
    const cut = random.between(0, text.length);
    socket.write(text.slice(0, cut));
    await sleep(random.between(0, 20));
    if (random.oneIn(2)) socket.write(text.slice(cut));
    if (random.oneIn(3)) socket.end();
    socket.once('data', () => random.oneIn(3) && socket.destroy());
    socket.resume();
    await Promise.race([closed, sleep(random.between(0, 100))]);
    // Behind end() Node would keep the descriptor, and turn for ever when it ends (Node 20.20).
    if (!socket.writableEnded && random.oneIn(2)) socket.resetAndDestroy();
    else socket.destroy();
  };
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 40 }, client));
    const { status, body } = await request(rig.url('/good'));
    t.equal(`${status} ${body}`, '200 hello /good 0', `round ${round}`);
  }
  const failed = rig.headgate.logs.filter(({ level }) => level >= 50);
  t.same(failed, [], 'no exception');
  await rig.finish();
});

t.test('http misbehaviour: a stop lets everybody finish', timeout, async (t) => {
  const rig = await HttpRig.start(t, async (request, response) => {
    await sleep(20);
    return hello(request, response);
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
  let served = 0;
  let refused = 0;
  let isOver = false;
  const clients = Array.from({ length: 20 }, async () => {
    while (!isOver) {
      await request(rig.url('/'), { agent }).then(
        ({ status }) => {
          if (status === 200) served++;
        },
        (error: NodeJS.ErrnoException) => {
          isOver = true;
          // Nobody listens any more: a new connection is turned away, and no request is lost.
          if (error.code === 'ECONNREFUSED') refused++;
          else t.fail(`${error.code} ${error.message}`);
        },
      );
    }
  });
  await until(5_000, 'there is a load', () => served > 200);
  rig.headgate.signal('SIGTERM');
  const { code } = await rig.headgate.exit;
  t.equal(code, 0);
  await Promise.all(clients);
  t.ok(refused > 0, `${served} served, ${refused} turned away`);
  agent.destroy();
});
