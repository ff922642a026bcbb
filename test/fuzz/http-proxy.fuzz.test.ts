// What an upstream gets is framed by llhttp as Headgate framed what the client sent, whatever that was.
import t from 'tap';
import { Socket, SocketOption } from '#src/splice/index.js';
import { goldenCases } from '#test/proxy/http/message/golden.js';
import { type Message, readRequests } from '#test/proxy/http/message/messages.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { serverReading } from '#test/support/http/llhttp.js';
import { Random } from '#test/support/random.js';
import { RawPeer } from '#test/support/sockets/raw-peer.js';
import { SocketKit } from '#test/support/sockets/socket-kit.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';
import { fuzzEach } from './mutation.js';

const SEED = Random.seed();
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

/** Without upgrades: the upstream here never agrees to one, and llhttp stops reading behind it. */
const golden = (prefix: string) =>
  goldenCases(prefix)
    .map(({ bytes }) => bytes)
    .filter((bytes) => bytes.length < 600 && !/upgrade/i.test(bytes.toString('latin1')));
const next = Buffer.from('GET /next HTTP/1.1\r\nHost: a\r\n\r\n');
const post = Buffer.from('POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
const good = [
  ...['request-fields.txt', 'request-framing.txt', 'request-targets.txt']
    .flatMap(golden)
    .map((bytes) => Buffer.concat([next, bytes, next])),
  ...golden('chunked-good').map((bytes) => Buffer.concat([post, bytes, post, bytes, next])),
];
const seeds = [
  ...[good, good, good, good].flat(),
  ...golden('request-').map((bytes) => Buffer.concat([bytes, next])),
  ...golden('chunked-').map((bytes) => Buffer.concat([post, bytes, next])),
];

interface Outcome {
  /** What came over each connection to the upstream. */
  readonly upstream: Buffer[];
  readonly client: Buffer;
  readonly problem: string | undefined;
}

/** Sends a client's stream through a worker, to an upstream that answers every whole request. */
function forward(bytes: Buffer, random: Random): Outcome {
  const kit = new SocketKit();
  try {
    const room = new TestRoom(kit, { http: plainHttp });
    const client = room.client();
    client.set(SocketOption.IPPROTO_TCP, SocketOption.TCP_NODELAY, 1);
    const upstreams: { peer: RawPeer; answered: number }[] = [];
    const attend = () => {
      room.settle(4);
      for (let more = true; more; ) {
        const peer = acceptNow(room, kit);
        more = peer !== undefined;
        if (peer !== undefined) upstreams.push({ peer, answered: 0 });
      }
      for (const upstream of upstreams) {
        upstream.peer.receive();
        const { messages } = readRequests(upstream.peer.received);
        const whole = messages.filter(({ isComplete }) => isComplete).length;
        for (; upstream.answered < whole; upstream.answered++) upstream.peer.send(ANSWER);
      }
    };
    for (let at = 0; at < bytes.length && client.errno === 0; ) {
      const end = random.oneIn(3) ? bytes.length : at + random.between(1, 80);
      client.send(bytes.subarray(at, end));
      at = end;
      attend();
      client.receive();
    }
    client.end();
    // As many rounds as there can be requests.
    for (let round = 0; round < 12; round++) attend();
    client.receive();
    const left = room.finish();
    const problem =
      room.count('exceptions') > 0
        ? JSON.stringify(room.lines)
        : JSON.stringify(left) === JSON.stringify(nothingLeft)
          ? undefined
          : `left: ${JSON.stringify(left)}`;
    const received = upstreams.map(({ peer }) => Buffer.from(peer.received));
    return { upstream: received, client: Buffer.from(client.received), problem };
  } finally {
    kit.closeAll();
  }
}

function acceptNow(room: TestRoom, kit: SocketKit): RawPeer | undefined {
  const flags = Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;
  const fd = kit.kernel.accept4(room.origin.fd, 0, 0, flags);
  return fd < 0 ? undefined : new RawPeer(kit, kit.own(fd));
}

/** Method, path, query and body: what is the same however a target is written. */
function essence({ start, body, isComplete }: Message): string {
  const origin = start.replace(/ https?:\/\/[^/?]*/i, ' ').replace(/ (?=\?|$)/, ' /');
  return `${origin} ${body.toString('latin1')} ${isComplete}`;
}

t.test(`fuzz: the upstream frames what it gets as we do (SEED=${SEED})`, async (t) => {
  let forwarded = 0;
  await fuzzEach(t, seeds, SEED, async (bytes, random) => {
    const ours = readRequests(bytes);
    const { upstream, client, problem } = forward(bytes, random);
    if (problem !== undefined) return problem;
    const seen: Message[] = [];
    for (const stream of upstream) {
      const { messages, code } = await serverReading([stream]);
      if (code === 'HPE_INVALID_METHOD') return undefined;
      const isCut = messages.at(-1)?.isComplete === false || !endsWhole(stream);
      if (code !== undefined && !isCut) return `the upstream says ${code}`;
      seen.push(...messages);
    }
    forwarded += seen.length;
    for (const [index, message] of seen.entries()) {
      const meant = ours.messages[index];
      if (meant === undefined) return `nobody sent ${essence(message)}`;
      if (message.isComplete && essence(message) !== essence(meant)) {
        return `${essence(meant)} became ${essence(message)}`;
      }
    }
    const answers = client.toString('latin1').replaceAll(CONTINUE, '').split('HTTP/1.1 200').length;
    const whole = seen.filter(({ isComplete }) => isComplete).length;
    return answers - 1 <= whole ? undefined : `${answers - 1} answers to ${whole} requests`;
  });
  t.ok(forwarded > 10, `${forwarded} requests were forwarded`);
});

/** Whether a stream of requests ends behind one. */
function endsWhole(stream: Buffer): boolean {
  return readRequests(stream).ending === 'whole';
}
