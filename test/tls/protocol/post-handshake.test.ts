import t from 'tap';
import { PostHandshake, PostHandshakeEvent, TlsVersion } from '#src/tls/index.js';
import { Random } from '#test/support/random.js';

const { Tls12, Tls13 } = TlsVersion;
const { Incomplete, Ignored, KeyUpdate, KeyUpdateRequested, Unexpected, Malformed } =
  PostHandshakeEvent;

/** Feeds `bytes` in parts that end at `cuts`. @returns all events but Incomplete, until one that ends it */
function feed(reader: PostHandshake, bytes: readonly number[], cuts: readonly number[]): number[] {
  const events: number[] = [];
  let start = 0;
  for (const end of [...cuts, bytes.length]) {
    const part = Uint8Array.from(bytes.slice(start, end));
    for (let at = 0; at < part.length; at += reader.consumed) {
      const event = reader.take(part, at, part.length);
      if (event !== Incomplete) events.push(event);
      if (event === Unexpected || event === Malformed) return events;
      if (reader.consumed === 0) throw new Error('it does not move');
    }
    start = end;
  }
  return events;
}

const ticket = [4, 0, 0, 6, 1, 2, 3, 4, 5, 6];
const emptyTicket = [4, 0, 0, 0];
const update = [24, 0, 0, 1, 0];
const request = [24, 0, 0, 1, 1];

t.test('post-handshake: messages whole, and cut at every point', async (t) => {
  const client = (): PostHandshake => new PostHandshake(Tls13, false);
  const cases: readonly [number[], number[]][] = [
    [ticket, [Ignored]],
    [emptyTicket, [Ignored]],
    [update, [KeyUpdate]],
    [request, [KeyUpdateRequested]],
    [
      [...ticket, ...emptyTicket, ...ticket, ...request],
      [Ignored, Ignored, Ignored, KeyUpdateRequested],
    ],
    [[24, 0, 0, 1, 2], [Malformed]],
    [[24, 0, 0, 0], [Malformed]],
    [[24, 0, 1, 1], [Malformed]],
    [[4, 0xff, 0xff, 0xff], [Malformed]],
    [[1, 0, 0, 0], [Unexpected]],
    [
      [...update, 20, 0, 0, 1],
      [KeyUpdate, Unexpected],
    ],
  ];
  for (const [bytes, expected] of cases) {
    t.same(feed(client(), bytes, []), expected, `${bytes}`);
    for (let cut = 1; cut < bytes.length; cut++) {
      t.same(feed(client(), bytes, [cut]), expected, `${bytes} cut at ${cut}`);
    }
    t.same(feed(client(), bytes, [...bytes.keys()].slice(1)), expected, 'byte by byte');
  }
});

t.test('post-handshake: who may say what', async (t) => {
  const first = (version: TlsVersion, isServer: boolean, bytes: number[]): number =>
    feed(new PostHandshake(version, isServer), bytes, [])[0]!;
  t.equal(first(Tls13, true, ticket), Unexpected);
  t.equal(first(Tls13, true, update), KeyUpdate);
  t.equal(first(Tls13, false, [0, 0, 0, 0]), Unexpected);
  t.equal(first(Tls12, false, [0, 0, 0, 0]), Ignored, 'HelloRequest');
  t.equal(first(Tls12, false, [0, 0, 0, 1, 0]), Malformed);
  t.equal(first(Tls12, true, [0, 0, 0, 0]), Unexpected);
  t.equal(first(Tls12, true, [1, 0, 0, 0]), Unexpected, 'renegotiation');
  t.equal(first(Tls12, false, update), Unexpected);
});

t.test('post-handshake: any bytes, in any parts, come to an end', async (t) => {
  const seed = Random.seed();
  const random = new Random(seed);
  for (let round = 0; round < 2000; round++) {
    const bytes = Array.from({ length: random.between(1, 60) }, () =>
      random.oneIn(3) ? random.pick([0, 1, 4, 24]) : random.between(0, 255),
    );
    const cuts = [random.between(0, bytes.length), random.between(0, bytes.length)].sort(
      (a, b) => a - b,
    );
    for (const version of [Tls12, Tls13]) {
      for (const isServer of [true, false]) {
        const whole = feed(new PostHandshake(version, isServer), bytes, []);
        const cut = feed(new PostHandshake(version, isServer), bytes, cuts);
        if (JSON.stringify(whole) !== JSON.stringify(cut)) {
          t.fail(`SEED=${seed} round ${round}: ${bytes} cut at ${cuts}: ${whole} and ${cut}`);
        }
      }
    }
  }
  t.pass(`SEED=${seed}`);
});
