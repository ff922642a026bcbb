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

t.test('request head: Connection is compared whole, whatever its case', async (t) => {
  const head = new RequestHead({ headBytes: 1024, headers: 10 });
  const keeps = (value: string) => {
    const bytes = Buffer.from(`GET / HTTP/1.0\r\nConnection: ${value}\r\n\r\n`, 'latin1');
    return head.parse(bytes, 0, bytes.length) > 0 && head.keepAlive;
  };
  for (const value of ['keep-alive', 'Keep-Alive', 'KEEP-ALIVE', 'x, keep-alive']) {
    t.ok(keeps(value), value);
  }
  const right = Buffer.from('Keep-Alive');
  for (let at = 0; at < right.length; at++) {
    for (let bit = 1; bit < 256; bit <<= 1) {
      const wrong = Buffer.from(right);
      wrong[at]! ^= bit;
      const value = wrong.toString('latin1');
      if (keeps(value) !== (value.toLowerCase() === 'keep-alive')) t.fail(JSON.stringify(value));
    }
  }
});
