import t from 'tap';
import { TrailerSieve } from '#src/proxy/http/exchange/trailer-sieve.js';
import { HttpBuffers } from '#src/proxy/http/http-buffers.js';
import { ChunkScanner } from '#src/proxy/http/index.js';
import { TrailerNames } from '#src/proxy/http/message/index.js';
import type { NativeMemory } from '#src/splice/index.js';
import { goldenCases } from '#test/proxy/http/message/golden.js';
import { Random } from '#test/support/random.js';
import { fuzz, fuzzEach } from './mutation.js';

const SEED = Random.seed();
const scanner = new ChunkScanner();
const seeds = goldenCases('chunked-')
  .map(({ bytes }) => bytes)
  .filter(({ length }) => length < 1000);

/** Scans a body in one piece. */
function parse(bytes: Buffer, start: number, end: number): number {
  scanner.begin();
  const consumed = scanner.scan(bytes, start, end);
  return consumed < 0 || scanner.isDone ? consumed : 0;
}

const describe = () => `${scanner.bodyBytes} ${scanner.hasTrailers}`;

t.test(`fuzz: chunked body (SEED=${SEED})`, async (t) => {
  fuzz(t, { seeds, parse, describe }, SEED);
});

t.test(`fuzz: chunked body, in pieces and past its data (SEED=${SEED})`, async (t) => {
  await fuzzEach(t, seeds, SEED, (bytes, random) => {
    const whole = parse(bytes, 0, bytes.length);
    scanner.begin();
    let at = 0;
    let answer = 0;
    while (at < bytes.length && answer === 0) {
      const end = Math.min(bytes.length, at + random.between(1, 40));
      const consumed = scanner.scan(bytes, at, end);
      if (consumed < 0) answer = consumed;
      else {
        at += consumed;
        const unseen = Math.min(scanner.dataBytes, bytes.length - at);
        scanner.skip(unseen);
        at += unseen;
        if (scanner.isDone) answer = at;
      }
    }
    return answer === whole ? undefined : `${whole}, but ${answer} in pieces`;
  });
});

const lost = new TrailerNames(['X-Secret', 'x-int-*'], []);
const trailers = [
  'X-Sum: 1\r\nX-Secret: 2\r\nX-Last: 3\r\n',
  'x_secret:\r\nX-Secre: 1\r\nX-Secrets: 2\r\nX-Int-: 3\r\nX-Int: 4\r\n',
  'X-Secret: X-Int-A: 1\r\n',
  'A: X-Secret: 1\r\nX-INT-ernal: 2\r\nB: 3\r\nX-Secret: 4\r\n',
].map((lines) => Buffer.from(`3;x="y"\r\nabc\r\n0\r\n${lines}\r\n`, 'latin1'));

/** The body of `length` bytes as it should go on, by a look at all of it. */
function withoutLost(bytes: Buffer, length: number): Buffer {
  scanner.begin();
  const chunkBytes = scanner.scanChunks(bytes, 0, length);
  const lines = bytes.toString('latin1', chunkBytes, length).split(/(?<=\r\n)/);
  const kept = lines.filter((line) => !/^x[-_](secret:|int[-_].*:)/i.test(line));
  return Buffer.concat([bytes.subarray(0, chunkBytes), Buffer.from(kept.join(''), 'latin1')]);
}

t.test(`fuzz: chunked body, in pieces and without some trailers (SEED=${SEED})`, async (t) => {
  const buffers = new HttpBuffers(8192);
  const sieve = new TrailerSieve(scanner, buffers);
  await fuzzEach(t, [...trailers, ...seeds], SEED, (bytes, random) => {
    const whole = parse(bytes, 0, bytes.length);
    const expected = whole > 0 ? withoutLost(bytes, whole) : undefined;
    scanner.begin();
    sieve.begin(lost);
    const passed: Buffer[] = [];
    const relay = {
      tap: undefined,
      hold: (memory: NativeMemory, start: number, end: number) => {
        passed.push(Buffer.from(memory.bytes.subarray(start, end)));
        buffers.give(memory);
      },
    };
    let at = 0;
    let answer = 0;
    const longest = random.pick([1, 8, 200]);
    while (at < bytes.length && answer === 0) {
      const end = Math.min(bytes.length, at + random.between(1, longest));
      const piece = Buffer.from(bytes.subarray(at, end));
      const consumed = sieve.take(piece, 0, piece.length);
      if (consumed < 0) answer = consumed;
      else {
        at += consumed;
        passed.push(piece.subarray(0, sieve.passed));
        sieve.handTo(relay);
        if (scanner.isDone) answer = at;
        if (!piece.subarray(consumed).equals(bytes.subarray(at, end)))
          return 'what is behind changed';
      }
    }
    sieve.release();
    if (buffers.inUse > 0) return 'a buffer is left';
    if (answer !== whole) return `${whole}, but ${answer} in pieces`;
    if (expected === undefined || Buffer.concat(passed).equals(expected)) return undefined;
    return `${Buffer.concat(passed)} instead of ${expected}`;
  });
});
