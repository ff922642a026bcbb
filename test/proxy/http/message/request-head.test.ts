import t from 'tap';
import { RequestHead } from '#src/proxy/http/index.js';
import { describeRequest } from './describe.js';
import { runCases } from './golden.js';
import { feed, type HeadReading, read } from './head-feeding.js';

const head = new RequestHead({ headBytes: 8192, headers: 20 });
const reading: HeadReading = {
  parse: (bytes, start, end, seen) => head.parse(bytes, start, end, seen),
  describe: () => describeRequest(head),
};

runCases(
  t,
  'request-',
  ({ bytes }) => read(reading, bytes),
  (t, { bytes, expected }) => feed(t, reading, bytes, expected),
);
