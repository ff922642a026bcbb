import t from 'tap';
import { type ByteRange, selectRanges } from '#src/proxy/files/byte-ranges.js';
import { Random } from '#test/support/random.js';

/** Which bytes a set asks for, byte by byte, by the letter of RFC 9110 §14.1.2; nothing for what is no set. */
function reference(set: string, size: number): Set<number> | undefined {
  const asked = new Set<number>();
  for (const spec of set.split(',').map((one) => one.trim())) {
    if (spec === '') continue;
    const match = /^(\d*)-(\d*)$/.exec(spec);
    if (match === null || spec === '-') return undefined;
    const [, first, last] = match as unknown as [string, string, string];
    if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
    for (let at = 0; at < size; at++) {
      const isAsked =
        first === ''
          ? at >= size - Number(last)
          : at >= Number(first) && (last === '' || at <= Number(last));
      if (isAsked) asked.add(at);
    }
  }
  return asked;
}

function bytesOf(ranges: readonly ByteRange[]): number[] {
  return ranges.flatMap(({ start, end }) =>
    Array.from({ length: end - start }, (_, n) => start + n),
  );
}

t.test('byte ranges: single ones, by the examples of RFC 9110', async (t) => {
  for (const [value, expected] of [
    ['bytes=0-499', [{ start: 0, end: 500 }]],
    ['bytes=500-999', [{ start: 500, end: 1000 }]],
    ['bytes=-500', [{ start: 9500, end: 10_000 }]],
    ['bytes=9500-', [{ start: 9500, end: 10_000 }]],
    ['BYTES=0-0', [{ start: 0, end: 1 }]],
    ['bytes= 1-2 , ,', [{ start: 1, end: 3 }]],
    ['bytes=0-99999999999999999999999', [{ start: 0, end: 10_000 }]],
    ['bytes=-99999999999999999999999', [{ start: 0, end: 10_000 }]],
    ['bytes=10000-', 'unsatisfiable'],
    ['bytes=99999999999999999999999-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=10000-10001,-0', 'unsatisfiable'],
    ['bytes=5-4', 'whole'],
    ['bytes=', 'whole'],
    ['bytes', 'whole'],
    ['bytes=a-b', 'whole'],
    ['bytes=1', 'whole'],
    ['bytes=1-2-3', 'whole'],
    ['bytes=+1-2', 'whole'],
    ['bytes=0x1-2', 'whole'],
    ['bytes=-', 'whole'],
    ['lines=1-2', 'whole'],
    ['bytes=0-1,x', 'whole'],
  ] as const) {
    t.same(selectRanges(value, 10_000), expected, value);
  }
});

t.test('byte ranges: near the end of a large file', async (t) => {
  const size = 5 * 1024 ** 3 + 7;
  t.same(selectRanges(`bytes=${size - 1}-`, size), [{ start: size - 1, end: size }]);
  t.same(selectRanges('bytes=-3', size), [{ start: size - 3, end: size }]);
  t.equal(selectRanges(`bytes=${size}-`, size), 'unsatisfiable');
});

t.test('byte ranges: an empty file has none', async (t) => {
  t.equal(selectRanges('bytes=0-', 0), 'unsatisfiable');
  t.equal(selectRanges('bytes=0-0,1-', 0), 'unsatisfiable');
  t.equal(selectRanges('bytes=-0', 0), 'unsatisfiable');
  t.equal(selectRanges('bytes=-500', 0), 'whole', 'but its end is there (RFC 9110 §14.1.2)');
  t.equal(selectRanges('bytes=5-,-1', 0), 'whole');
});

t.test('byte ranges: parts that touch are one, others keep their order', async (t) => {
  const size = 10_000;
  t.same(selectRanges('bytes=500-700,601-999', size), [{ start: 500, end: 1000 }]);
  t.same(selectRanges('bytes=500-600,601-999', size), [{ start: 500, end: 1000 }]);
  t.same(
    selectRanges('bytes=0-0,40-49', size),
    [{ start: 0, end: 50 }],
    'the gap is smaller than a head',
  );
  t.same(selectRanges('bytes=5000-5001,0-1', size), [
    { start: 5000, end: 5002 },
    { start: 0, end: 2 },
  ]);
});

t.test('byte ranges: who asks for too much gets everything once', async (t) => {
  const many = (count: number, step: number) =>
    `bytes=${Array.from({ length: count }, (_, index) => `${index * step}-${index * step}`).join()}`;
  t.equal((selectRanges(many(32, 1000), 1_000_000) as []).length, 32);
  t.equal(selectRanges(many(33, 1000), 1_000_000), 'whole');
  t.equal(selectRanges(many(101, 1), 1_000_000), 'whole');
  t.same(selectRanges(many(100, 1), 1_000_000), [{ start: 0, end: 100 }]);
  t.same(selectRanges(`bytes=${'0-,'.repeat(99)}0-`, 1000), [{ start: 0, end: 1000 }]);
});

t.test('byte ranges: what a reference says, byte by byte', async (t) => {
  const random = new Random(11);
  const number = () => (random.between(0, 3) === 0 ? '' : String(random.between(0, 59)));
  let partial = 0;
  for (let round = 0; round < 3000; round++) {
    const size = random.between(0, 49);
    const specs = Array.from({ length: 1 + random.between(0, 4) }, () => `${number()}-${number()}`);
    const expected = reference(specs.join(), size);
    const actual = selectRanges(`bytes=${specs.join()}`, size);
    const shown = `${specs.join()} of ${size}`;
    if (expected === undefined) {
      if (actual !== 'whole') t.equal(actual, 'whole', shown);
      continue;
    }
    if (actual === 'unsatisfiable') {
      if (expected.size > 0) t.equal(expected.size, 0, shown);
      continue;
    }
    // An empty suffix of an empty file is satisfiable, and cannot be said.
    const bytes =
      actual === 'whole' ? Array.from({ length: size }, (_, at) => at) : bytesOf(actual);
    partial += Number(actual !== 'whole');
    if (bytes.length !== new Set(bytes).size) t.fail(`${shown}: a byte is sent twice`);
    for (const at of expected) if (!bytes.includes(at)) t.fail(`${shown}: ${at} is missing`);
  }
  t.ok(partial > 500, `${partial} partial`);
});
