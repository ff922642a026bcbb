import t from 'tap';
import { Method, RequestHead, ResponseHead } from '#src/proxy/http/index.js';
import { describeRequest, describeResponse } from '#test/proxy/http/message/describe.js';
import { goldenCases } from '#test/proxy/http/message/golden.js';
import { type HeadReading, read, readGrowing } from '#test/proxy/http/message/head-feeding.js';
import { Random } from '#test/support/random.js';
import { fuzz, fuzzEach } from './mutation.js';

const SEED = Random.seed();
const limits = { headBytes: 2048, headers: 20 };
const request = new RequestHead(limits);
const response = new ResponseHead(limits);

const requests: HeadReading = {
  parse: (bytes, start, end, seen) => request.parse(bytes, start, end, seen),
  describe: () => describeRequest(request),
};
const responses: HeadReading = {
  parse: (bytes, start, end, seen) => response.parse(bytes, start, end, Method.GET, seen),
  describe: () => describeResponse(response),
};
/** By parsers that have read nothing before. */
const freshReadings: Record<'request head' | 'response head', () => HeadReading> = {
  'request head': () => {
    const head = new RequestHead(limits);
    return {
      parse: (bytes, start, end, seen) => head.parse(bytes, start, end, seen),
      describe: () => describeRequest(head),
    };
  },
  'response head': () => {
    const head = new ResponseHead(limits);
    return {
      parse: (bytes, start, end, seen) => head.parse(bytes, start, end, Method.GET, seen),
      describe: () => describeResponse(head),
    };
  },
};
const seedsOf = (prefix: string) =>
  goldenCases(prefix)
    .map(({ bytes }) => bytes)
    .filter(({ length }) => length < 1000);

for (const [name, prefix, reading] of [
  ['request head', 'request-', requests],
  ['response head', 'response-', responses],
] as const) {
  const seeds = seedsOf(prefix);

  t.test(`fuzz: ${name} (SEED=${SEED})`, async (t) => {
    const { parse, describe } = reading;
    fuzz(t, { seeds, parse: (bytes, start, end) => parse(bytes, start, end), describe }, SEED);
  });

  t.test(`fuzz: ${name}, growing in pieces (SEED=${SEED})`, async (t) => {
    await fuzzEach(t, seeds, SEED, (bytes, random) => {
      const cuts = Array.from({ length: random.between(1, 6) }, () =>
        random.between(0, bytes.length),
      ).sort((one, other) => one - other);
      const whole = read(reading, bytes);
      const grown = readGrowing(reading, bytes, cuts);
      if (grown === whole) return undefined;
      // A fault in a head that is not whole may be looked for later.
      const isWhole = /[^\r\n].*\n\r\n/s.test(bytes.toString('latin1'));
      if (grown === 'partial' && whole.startsWith('rejected') && !isWhole) return undefined;
      return `${whole}, but ${grown} cut at ${cuts}`;
    });
  });

  t.test(`fuzz: ${name}, behind others (SEED=${SEED})`, async (t) => {
    const fresh = freshReadings[name];
    await fuzzEach(t, seeds, SEED, (bytes) => {
      // The parser has just read another one, of which it remembers the names.
      const behind = read(reading, bytes);
      const first = read(fresh(), bytes);
      return behind === first ? undefined : `${behind}, but ${first} as the first`;
    });
  });
}
