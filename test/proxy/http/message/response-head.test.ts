import t from 'tap';
import { Method, ResponseHead } from '#src/proxy/http/index.js';
import { describeResponse } from './describe.js';
import { type GoldenCase, runCases } from './golden.js';
import { feed, type HeadReading, read } from './head-feeding.js';

const head = new ResponseHead({ headBytes: 8192, headers: 20 });

/** `(HEAD) …` as the name of a case: the request's method. GET otherwise. */
function readingFor({ name }: GoldenCase): HeadReading {
  const method = /^\((\w+)\)/.exec(name)?.[1] ?? 'GET';
  const number = Method[method as keyof typeof Method];
  return {
    parse: (bytes, start, end, seen) => head.parse(bytes, start, end, number, seen),
    describe: () => describeResponse(head),
  };
}

runCases(
  t,
  'response-',
  (golden) => read(readingFor(golden), golden.bytes),
  (t, golden) => feed(t, readingFor(golden), golden.bytes, golden.expected),
);
