import type { HttpConnection } from '#src/proxy/http/connection/connection.js';
import type { BodySource, ProducedAnswer } from '#src/proxy/http/exchange/body-source.js';
import { RelayResult } from '#src/proxy/http/exchange/relay-result.js';
import { NativeMemory, Outcome, type Transport } from '#src/splice/index.js';
import { type ExchangeRig, exchangeTest, GET } from '#test/support/http/exchange-rig.js';
import { payload } from '#test/support/random.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';

const PIECE_BYTES = 64 * 1024;

/** Makes a body out of memory, a piece at a time, as a file's would be. */
class Pieces implements BodySource {
  readonly path = 'copy';
  bytes = 0;
  releases = 0;
  runs = 0;
  /** It fails behind so many bytes. */
  failsAt = Number.POSITIVE_INFINITY;
  private readonly memory: NativeMemory;

  get isPending(): boolean {
    return this.bytes < this.content.length;
  }

  /** @param filled bytes that go out with the head */
  constructor(
    private readonly content: Buffer,
    private readonly filled = 0,
  ) {
    this.memory = new NativeMemory(content.length);
    content.copy(this.memory.bytes);
  }

  fill(memory: NativeMemory, start: number): number {
    this.content.copy(memory.bytes, start, 0, this.filled);
    this.bytes = this.filled;
    return this.filled;
  }

  /** One piece a turn. */
  run(client: Transport): RelayResult {
    this.runs++;
    if (this.bytes >= this.failsAt) return RelayResult.SourceFailed;
    const length = Math.min(PIECE_BYTES, this.content.length - this.bytes);
    if (length === 0) return RelayResult.Ended;
    const sent = client.writable
      ? client.write(this.memory.address + this.bytes, length)
      : Outcome.Blocked;
    if (sent === Outcome.Blocked) return RelayResult.Waiting;
    if (sent < 0) return RelayResult.SinkFailed;
    this.bytes += sent;
    return this.bytes === this.content.length ? RelayResult.Ended : RelayResult.Yielded;
  }

  release(): void {
    this.releases++;
  }
}

function headOf(length: number): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`;
}

function answerOf(content: Buffer, body: BodySource | undefined): ProducedAnswer {
  const head = Buffer.from(headOf(content.length));
  return {
    status: 200,
    body,
    writeHead: (_context, _connection, _nowMs, out) => out.literal(head),
  };
}

/** Answers a new request here, in the place of the endpoint that it has gone to. */
function produce(rig: ExchangeRig, client: RawPeer, answer: ProducedAnswer): HttpConnection {
  rig.say(client, GET);
  rig.upstream();
  const [connection] = rig.room.sessions() as HttpConnection[];
  connection!.exchange!.answer.produce(answer);
  return connection!;
}

exchangeTest('a body that is made here follows its head, and the connection stays', (rig, t) => {
  const client = rig.room.client();
  const content = payload(1, 200_000);
  const source = new Pieces(content);
  produce(rig, client, answerOf(content, source));
  t.equal(source.runs, 1, 'the rest waits for its turn');
  rig.hear(client, headOf(content.length) + content.toString('latin1'));
  t.equal(source.releases, 1);
  rig.say(client, GET);
  rig.hear(rig.upstream(), GET);
});

exchangeTest('what a source has at once goes out with the head, in one piece', (rig, t) => {
  const client = rig.room.client();
  const content = payload(2, 1000);
  const { trace } = rig.room.libc;
  rig.say(client, GET);
  rig.upstream();
  const [connection] = rig.room.sessions() as HttpConnection[];
  const before = trace.length;
  const source = new Pieces(content, content.length);
  connection!.exchange!.answer.produce(answerOf(content, source));
  const sends = trace.slice(before).filter(({ name }) => name === 'send');
  t.equal(sends.length, 1);
  rig.hear(client, headOf(content.length) + content.toString('latin1'));
  t.equal(source.releases, 1);
});

exchangeTest('a body that is made here waits for a client that does not read', (rig, t) => {
  const client = rig.room.client();
  const content = payload(3, 16 * 1024 * 1024);
  const source = new Pieces(content, 1000);
  produce(rig, client, answerOf(content, source));
  rig.room.settle(400);
  const { runs, bytes } = source;
  t.ok(bytes < content.length, `${bytes} bytes`);
  rig.room.settle(100);
  t.equal(source.runs, runs, 'nothing is tried while there is no room');
  rig.hear(client, headOf(content.length) + content.toString('latin1'));
  t.equal(source.releases, 1);
});

exchangeTest('a client that goes away ends what is made for it', (rig, t) => {
  const client = rig.room.client();
  const content = payload(4, 16 * 1024 * 1024);
  const source = new Pieces(content);
  produce(rig, client, answerOf(content, source));
  rig.room.settle(400);
  client.reset();
  rig.room.until(() => rig.room.sessions().length === 0);
  t.equal(source.releases, 1);
  t.equal(rig.room.closed('client_reset'), 1);
});

exchangeTest('a client that has gone silent is not waited for for ever', (rig, t) => {
  const client = rig.room.client();
  const content = payload(5, 16 * 1024 * 1024);
  const source = new Pieces(content);
  produce(rig, client, answerOf(content, source));
  rig.room.settle(400);
  rig.room.pass(20_000);
  t.equal(rig.room.closed('idle_timeout'), 1);
  t.equal(source.releases, 1);
});

exchangeTest('half a body is no whole one: the client is reset', (rig, t) => {
  const client = rig.room.client();
  const content = payload(6, 200_000);
  const source = new Pieces(content);
  source.failsAt = PIECE_BYTES;
  produce(rig, client, answerOf(content, source));
  rig.expectReset(client);
  t.equal(source.releases, 1);
});

exchangeTest('a head without a body is a whole answer', (rig, t) => {
  const client = rig.room.client();
  const connection = produce(rig, client, answerOf(Buffer.alloc(7), undefined));
  rig.hear(client, headOf(7));
  t.equal(connection.exchange, undefined);
  rig.say(client, GET);
  rig.hear(rig.upstream(), GET);
});

exchangeTest('a head that is too long is an error, and its body is released', (rig, t) => {
  const client = rig.room.client();
  const source = new Pieces(Buffer.alloc(10));
  const long = Buffer.alloc(20_000, 'x');
  produce(rig, client, {
    status: 200,
    body: source,
    writeHead: (_c, _l, _n, out) => out.literal(long),
  });
  rig.hearStatus(client, 500);
  t.equal(source.releases, 1);
  t.equal(source.runs, 0);
});
