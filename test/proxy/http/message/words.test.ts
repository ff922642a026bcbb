// Four bytes at a time, held against one byte at a time.
import t from 'tap';
import { isFieldValue } from '#src/proxy/http/message/characters.js';
import {
  HeaderName,
  headerNameOf,
  headerNames,
  isHeaderNameAt,
} from '#src/proxy/http/message/header-name.js';
import { findColon, skipFieldValue } from '#src/proxy/http/message/words.js';
import { Random } from '#test/support/random.js';

const SEED = Random.seed();
const COLON = 0x3a;

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function skipOneByOne(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && isFieldValue[bytes[at]!] === 1) at++;
  return at;
}

t.test('words: every byte ends a value, or does not, at every place in a word', async (t) => {
  for (let byte = 0; byte < 256; byte++) {
    for (let place = 0; place < 12; place++) {
      for (const around of [0x61, 0x20, 0x80, 0xff, 0x09]) {
        const bytes = Buffer.alloc(16, around);
        bytes[place] = byte;
        const found = skipFieldValue(viewOf(bytes), 0, 15);
        if (found !== skipOneByOne(bytes, 0, 15)) {
          t.fail(`byte ${byte} at ${place} among ${around}: ${found}`);
        }
        const colonAt = findColon(viewOf(bytes), 0, 15);
        const expected = byte === COLON ? place : 15;
        if (colonAt !== expected) t.fail(`colon: byte ${byte} at ${place}: ${colonAt}`);
      }
    }
  }
});

t.test(`words: random bytes, from and to anywhere (SEED=${SEED})`, async (t) => {
  const random = new Random(SEED);
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(Array.from({ length: 40 }, () => random.between(0, 255)));
    for (const [at, byte] of bytes.entries()) if (byte < 0x20 || byte === 0x7f) bytes[at] = 0x3a;
    if (random.oneIn(2)) bytes[random.between(0, 39)] = random.between(0, 31);
    const start = random.between(0, 20);
    const end = random.between(start, 40);
    const found = skipFieldValue(viewOf(bytes), start, end);
    if (found !== skipOneByOne(bytes, start, end)) t.fail(`value in ${bytes.toString('hex')}`);
    const colonAt = bytes.subarray(0, end).indexOf(COLON, start);
    if (findColon(viewOf(bytes), start, end) !== (colonAt < 0 ? end : colonAt)) {
      t.fail(`colon in ${bytes.toString('hex')}`);
    }
  }
});

t.test('words: a known name in any case, and nothing that is only like one', async (t) => {
  for (const [id, name] of headerNames.entries()) {
    if (id === HeaderName.other) continue;
    for (const text of [name, name.toUpperCase()]) {
      const bytes = Buffer.from(`\r\n${text}: `, 'latin1');
      const read = () => headerNameOf(viewOf(bytes), 2, 2 + text.length);
      t.equal(read(), id, text);
      // A bit more or less in any byte makes another name, unless it is the case of a letter.
      for (let at = 2; at < 2 + text.length; at++) {
        for (let bit = 1; bit < 256; bit <<= 1) {
          const right = bytes[at]!;
          bytes[at] = right ^ bit;
          const isSame = bit === 0x20 && /[a-z]/i.test(String.fromCharCode(right));
          const got = read();
          if (isSame ? got !== id : got === id) t.fail(`${bytes.toString('latin1')}: ${got}`);
          bytes[at] = right;
        }
      }
    }
  }
});

t.test('words: a name that is expected is there with its colon, or not', async (t) => {
  for (const [id, name] of headerNames.entries()) {
    if (id === HeaderName.other) continue;
    for (const text of [name, name.toUpperCase()]) {
      for (const behind of ['\0\0\0', ' x\r', '\xff\xff\xff']) {
        const bytes = Buffer.from(`\n${text}:${behind}`, 'latin1');
        const isThere = () => isHeaderNameAt(viewOf(bytes), 1, bytes.length, id);
        if (!isThere()) t.fail(`${text}: not found`);
        for (let at = 1; at <= 1 + text.length; at++) {
          for (let bit = 1; bit < 256; bit <<= 1) {
            const right = bytes[at]!;
            bytes[at] = right ^ bit;
            const isSame = bit === 0x20 && /[a-z]/i.test(String.fromCharCode(right));
            if (isThere() !== isSame) t.fail(`${bytes.toString('latin1')}: ${isThere()}`);
            bytes[at] = right;
          }
        }
      }
    }
  }
});

t.test('words: nothing is read beyond the end to find a name', async (t) => {
  const id = HeaderName.content_type;
  const whole = Buffer.from('content-type: x', 'latin1');
  // 13 bytes are four words; the view would throw where more was read than there is.
  for (let end = 0; end <= whole.length; end++) {
    const isThere = isHeaderNameAt(viewOf(whole.subarray(0, end)), 0, end, id);
    if (isThere && end < 16) t.fail(`found in ${end} bytes`);
  }
  t.ok(isHeaderNameAt(viewOf(Buffer.concat([whole, whole])), 0, 16, id));
});
