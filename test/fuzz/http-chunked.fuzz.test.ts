import t from 'tap';
import { ChunkScanner } from '#src/proxy/http/index.js';
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
