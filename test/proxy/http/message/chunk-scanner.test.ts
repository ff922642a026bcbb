import t from 'tap';
import { ChunkScanner } from '#src/proxy/http/index.js';
import { TrailerNames } from '#src/proxy/http/message/index.js';
import { embedded, exact, guarded } from '#test/proxy/tcp/feeding.js';
import { describeAnswer, quote } from './describe.js';
import { runCases } from './golden.js';

const scanner = new ChunkScanner();

/** Scans pieces that end at these lengths, and takes the data out. */
function scan(bytes: Buffer, lengths: readonly number[]): string {
  scanner.begin();
  const data: Buffer[] = [];
  let start = 0;
  for (const length of [...lengths, bytes.length]) {
    const piece = exact(bytes.subarray(start, length));
    for (let at = 0; at < piece.length && !scanner.isDone; ) {
      const consumed = scanner.step(piece, at, piece.length);
      if (consumed < 0) return scanner.isDone ? 'done and rejected' : describeAnswer(consumed);
      if (scanner.wasData) data.push(piece.subarray(at, at + consumed));
      at += consumed;
      start += consumed;
    }
  }
  return describeScan(start, Buffer.concat(data));
}

function describeScan(consumed: number, data: Buffer): string {
  return [
    `${scanner.isDone ? 'done' : 'partial'} ${consumed}`,
    `data ${data.length > 100 ? data.length : quote(data.toString('latin1'))}`,
    ...(scanner.hasTrailers ? ['trailers'] : []),
    ...(scanner.dataBytes > 0 ? [`${scanner.dataBytes} bytes of data to come`] : []),
  ].join('\n');
}

/** Scans without a look at the data: as much of the framing as `window` bytes show at a time. */
function scanPeeking(bytes: Buffer, window: number): number {
  scanner.begin();
  for (let start = 0; start < bytes.length && !scanner.isDone; ) {
    const peeked = exact(bytes.subarray(start, start + window));
    const consumed = scanner.scan(peeked, 0, peeked.length);
    if (consumed < 0) return consumed;
    const unseen = Math.min(scanner.dataBytes, bytes.length - start - consumed);
    scanner.skip(unseen);
    start += consumed + unseen;
    if (scanner.isDone) return start;
  }
  return 0;
}

runCases(
  t,
  'chunked-',
  ({ bytes }) => scan(bytes, []),
  (t, { bytes, expected }) => {
    t.equal(scan(bytes, []), expected, 'whole');
    const each = Array.from({ length: bytes.length }, (_, length) => length);
    t.equal(scan(bytes, each), expected, 'byte by byte');
    t.same(
      each.filter((cut) => scan(bytes, [cut]) !== expected),
      [],
      'cut in two at every place',
    );
    scanner.begin();
    const answer = scanner.scan(exact(bytes), 0, bytes.length);
    const whole = answer < 0 ? answer : scanner.isDone ? answer : 0;
    for (const window of [1, 2, 3, 16, 1024]) {
      t.equal(scanPeeking(bytes, window), whole, `peeking at ${window} bytes`);
    }
    scanner.begin();
    t.equal(scanner.scan(guarded(bytes), 0, bytes.length), answer, 'guarded');
    for (const fill of [0x00, 0x0a, 0x30]) {
      scanner.begin();
      t.equal(scanner.scan(...embedded(bytes, 3, fill)), answer, `among bytes of ${fill}`);
    }
  },
);

t.test('chunk scanner: once a body is done, nothing more is taken', async (t) => {
  const bytes = Buffer.from('0\r\n\r\n0\r\n\r\n');
  scanner.begin();
  t.equal(scanner.scan(bytes, 0, bytes.length), 5);
  t.equal(scanner.scan(bytes, 5, bytes.length), 0);
  t.equal(scanner.step(bytes, 5, bytes.length), 0);
  scanner.begin();
  t.equal(scanner.scan(bytes, 5, bytes.length), 5, 'the next one');
});

t.test('chunk scanner: terabytes pass without being looked at', async (t) => {
  const header = Buffer.from('1fffffffffffff\r\n');
  scanner.begin();
  t.equal(scanner.scan(header, 0, header.length), header.length);
  t.equal(scanner.dataBytes, Number.MAX_SAFE_INTEGER);
  scanner.skip(Number.MAX_SAFE_INTEGER - 1);
  t.equal(scanner.dataBytes, 1);
  const rest = Buffer.from('x\r\n0\r\n\r\n');
  t.equal(scanner.scan(rest, 0, rest.length), rest.length);
  t.ok(scanner.isDone);
});

t.test('chunk scanner: trailers that are somebody’s else to say', async (t) => {
  const refused = new TrailerNames(['X-User', 'x-int-*']);
  const answerTo = (name: string, of: TrailerNames) => {
    const bytes = Buffer.from(`0\r\nA: b\r\n${name}: c\r\n\r\n`);
    scanner.begin(of);
    for (let at = 0; at < bytes.length; at++) {
      const answer = scanner.scan(bytes, at, at + 1);
      if (answer < 0) return describeAnswer(answer);
    }
    return scanner.isDone ? 'done' : 'partial';
  };
  for (const name of ['x-user', 'X_USER', 'X-Int-', 'x-int-a', 'X_int-a-b', 'Host']) {
    t.match(answerTo(name, refused), /trailer_forbidden/, name);
  }
  for (const name of ['x-users', 'ax-user', 'x-int', 'ax-int-a', 'x-use']) {
    t.equal(answerTo(name, refused), 'done', name);
  }
  t.equal(answerTo('X-User', TrailerNames.usual), 'done', 'where no route says it');
  t.match(answerTo('a', new TrailerNames(['*'])), /trailer_forbidden/, 'all');
});
