import { pino } from 'pino';
import t from 'tap';
import { JsonLines, LineMemory } from '#src/proxy/logging/index.js';
import { Random } from '#test/support/random.js';

/** What our lines and pino's are for the same objects; times aside. */
function both(objects: readonly object[], bindings: object = { worker: 3 }): [string[], string[]] {
  const theirs: string[] = [];
  const ours: string[] = [];
  const memory = new LineMemory(64);
  const lineWritten = () => ours.push(Buffer.from(memory.take()).toString());
  const lines = new JsonLines({ memory, lineWritten }, bindings);
  const log = pino({ base: bindings }, { write: (line) => theirs.push(line) });
  for (const one of objects) {
    lines.write(one, 'request');
    log.info(one, 'request');
  }
  return [ours.map(withoutTime), theirs.map(withoutTime)];
}

function withoutTime(line: string): string {
  return line.replace(/"time":\d{13}/, '"time":0');
}

t.test('JSON lines: byte for byte those of pino', async (t) => {
  const [ours, theirs] = both([
    { listener: 'web', status: 200, none: undefined, ok: true, bad: false, close: 'idle' },
    { empty: '', quote: 'a"b', back: 'a\\b', line: 'a\nb\r\t\b\f', nul: '\0\x1f', del: '\x7f' },
    { latin: 'é', accents: 'größe', wide: '日本', pair: '😀' },
    { long: 'x'.repeat(300), longer: `${'y'.repeat(60)}"`, longest: `${'z'.repeat(60)}ß` },
    { tls: { version: '1.3', resumed: false, alpn: undefined, peer: 'CN="x"' }, after: 1 },
    { tls: {}, all: { gone: undefined }, deep: { a: { b: { c: [1, 'two', null] } } }, nil: null },
    { 'odd "key"': 1, schlüssel: 2, nested: { 'odd\nkey': 3, über: 4 } },
    {},
  ]);
  t.same(ours, theirs);
  t.match(ours[0], /^\{"level":30,"time":0,"worker":3,"listener":"web".*"msg":"request"\}\n$/);
});

t.test('JSON lines: numbers are as JavaScript writes them', async (t) => {
  const numbers = [0, -0, 1, 9, 10, 99, 100, 4095, 65_536, 999_999_999, 2_147_483_647];
  numbers.push(2_147_483_648, 4_294_967_296, 2 ** 53, 1e21, 1.5e300, -1, -0.5, -2_147_483_648);
  numbers.push(0.001, 0.01, 0.1, 0.12, 0.123, 0.1234, 0.0005, 0.100_1, 1e-7, 12.03, 7.5, 2147.483);
  numbers.push(2147.484, 2_147_483.647, 2_147_484.001, 1 / 3, Number.NaN, Number.POSITIVE_INFINITY);
  for (let thousandth = 0; thousandth < 1000; thousandth++) numbers.push(17 + thousandth / 1000);
  const [ours, theirs] = both(numbers.map((number) => ({ number, inner: { number } })));
  t.same(ours, theirs);
});

t.test('JSON lines: whatever texts and numbers there are', async (t) => {
  const random = new Random(Random.seed());
  const text = () =>
    String.fromCharCode(
      ...Array.from({ length: random.between(0, 100) }, () =>
        random.oneIn(20) ? random.between(0, 0xd7ff) : 0x20 + random.between(0, 0x60),
      ),
    );
  const number = () =>
    random.oneIn(2) ? random.between(0, 2 ** 31) : random.between(0, 1e9) / 1000;
  const objects = Array.from({ length: 2000 }, () => ({
    text: text(),
    number: number(),
    maybe: random.oneIn(2) ? undefined : text(),
    inner: { text: text(), number: number() },
  }));
  const [ours, theirs] = both(objects, {});
  t.same(ours, theirs, `seed ${random.seed}`);
});

t.test('JSON lines: half a character is still JSON', async (t) => {
  const [ours] = both([{ half: '\ud83d', other: '\udc00x' }]);
  t.match(JSON.parse(ours[0]!), { half: '\ud83d', other: '\udc00x' });
});

t.test('JSON lines: keys that are others than the line before had', async (t) => {
  const [ours, theirs] = both([
    { a: 1, b: 2 },
    { b: 1, a: 2 },
    { a: 1, c: 'x', b: 2 },
  ]);
  t.same(ours, theirs);
});

t.test(
  'line memory: lines stay one behind the other, and a long one leaves it as it was',
  async (t) => {
    const memory = new LineMemory(32);
    for (const part of ['first\n', 'ö'.repeat(40), '\n', 'last\n']) memory.addText(part);
    const taken = memory.take();
    t.equal(Buffer.from(taken).toString(), `first\n${'ö'.repeat(40)}\nlast\n`);
    t.equal(taken.buffer.byteLength, taken.length, 'and nothing but that');
    t.equal(memory.length, 0);
    memory.addText('again');
    t.equal(Buffer.from(memory.take()).toString(), 'again');
  },
);
