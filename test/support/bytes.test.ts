// The generator that judges all others has to notice whatever can go wrong with a stream.
import t from 'tap';
import { ByteStream } from './bytes.js';

const stream = new ByteStream(1);
const whole = stream.slice(0, 3 << 20);

t.test('bytes: any part, made alone, equals that part of the whole', async (t) => {
  for (const position of [0, 1, 7, 8, 4093, 4096, 65_535, (1 << 20) - 3, (2 << 20) + 5]) {
    for (const length of [1, 7, 8, 9, 100, 4096, 70_001]) {
      const part = stream.slice(position, length);
      t.ok(part.equals(whole.subarray(position, position + length)), `${length} at ${position}`);
      stream.verify(part, position);
    }
  }
});

t.test('bytes: streams of different seeds differ from the first byte on', async (t) => {
  const first = new Set<string>();
  for (let seed = 0; seed < 2_000; seed++)
    first.add(new ByteStream(seed).slice(0, 8).toString('hex'));
  t.equal(first.size, 2_000);
});

t.test('bytes: what is wrong is found, and where it comes from', async (t) => {
  const flipped = Buffer.from(whole);
  flipped[1_234_567]! ^= 1;
  const other = new ByteStream(2);
  const cases: [string, Buffer, RegExp][] = [
    ['one bit', flipped, /byte 1234567 is wrong/],
    ['lost', without(100_000, 65_536), /byte 100000 is wrong; got stream 1 at byte 165536/],
    ['a whole block lost', without(1 << 20, 1 << 20), /got stream 1 at byte 2097/],
    ['doubled', Buffer.concat([whole.subarray(0, 5_000), whole.subarray(4_952)]), /at byte 4952/],
    ['of another stream', other.slice(0, 90_000), /byte 0 is wrong; got stream 2 at byte 0/],
    ['one byte of another stream', other.slice(0, 1), /byte 0 is wrong/],
  ];
  for (const [name, received, message] of cases) {
    t.throws(() => stream.verify(received, 0), { message }, name);
  }
});

function without(position: number, length: number): Buffer {
  return Buffer.concat([whole.subarray(0, position), whole.subarray(position + length)]);
}
