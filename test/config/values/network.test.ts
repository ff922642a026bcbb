import t from 'tap';
import { parseNetwork } from '#src/config/index.js';
import { readIPv4, readIPv6 } from '#src/splice/index.js';

const valid: [string, number[], number, string][] = [
  ['10.0.0.0/8', [10, 0, 0, 0], 8, '10.0.0.0/8'],
  ['192.0.2.128/25', [192, 0, 2, 128], 25, '192.0.2.128/25'],
  ['192.0.2.1', [192, 0, 2, 1], 32, '192.0.2.1/32'],
  ['0.0.0.0/0', [0, 0, 0, 0], 0, '0.0.0.0/0'],
  ['::/0', Array(16).fill(0), 0, '::/0'],
  ['::1', [...Array(15).fill(0), 1], 128, '::1/128'],
  ['2001:DB8:0::/32', [0x20, 1, 0xd, 0xb8, ...Array(12).fill(0)], 32, '2001:db8::/32'],
  ['fe80::/10', [0xfe, 0x80, ...Array(14).fill(0)], 10, 'fe80::/10'],
  ['::ffff:10.0.0.0/104', [10, 0, 0, 0], 8, '10.0.0.0/8'],
  ['::ffff:192.0.2.1', [192, 0, 2, 1], 32, '192.0.2.1/32'],
];

for (const [text, bytes, prefixBits, canonical] of valid) {
  t.test(`network: ${text}`, async (t) => {
    t.strictSame(parseNetwork(text), { ok: true, value: { bytes, prefixBits, text: canonical } });
    t.ok(parseNetwork(canonical).ok);
  });
}

const invalid: [string, RegExp][] = [
  ['', /"" is not an IP address/],
  ['10.0.0.0/8/8', /more than one "\/"/],
  ['10.0.0/8', /"10.0.0" is not an IP address/],
  ['10.0.0.0/33', /prefix length 33 is out of range, expected 0 to 32/],
  ['::/129', /out of range, expected 0 to 128/],
  ['10.0.0.0/', /"" is not a prefix length/],
  ['10.0.0.0/255.0.0.0', /"255.0.0.0" is not a prefix length/],
  ['10.0.0.0/08', /"08" is not a prefix length/],
  ['10.1.2.3/8', /bits beyond the prefix, expected 10.0.0.0\/8 or 10.1.2.3$/],
  ['2001:db8::1/32', /expected 2001:db8::\/32 or 2001:db8::1$/],
  ['[::1]/128', /brackets, expected ::1\/128/],
  ['fe80::1%eth0/64', /a zone/],
  ['example.com', /"example.com" is not an IP address/],
];

for (const [text, reason] of invalid) {
  t.test(`network: "${text}" is refused`, async (t) => {
    const parsed = parseNetwork(text);
    t.match(parsed, { ok: false, reason });
  });
}

t.test('network: addresses are read as the kernel room reads them', async (t) => {
  for (const text of [
    '192.0.2.1',
    '::',
    '::1',
    '1::',
    '2001:DB8::A',
    '::2:3:4:5:6:7:8',
    '1:0:0:2::3',
  ]) {
    const bytes = Buffer.alloc(text.includes(':') ? 16 : 4);
    t.ok(bytes.length === 16 ? readIPv6(text, bytes, 0) : readIPv4(text, bytes, 0), text);
    const network = parseNetwork(text);
    t.same(network.ok && network.value.bytes, [...bytes], text);
  }
});
