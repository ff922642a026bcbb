import t from 'tap';
import { parseNetwork } from '#src/config/network.js';
import { parseServerName } from '#src/config/server-name.js';
import { ServerNames } from '#src/proxy/tcp/index.js';

t.test('network: an address and its leading bits', async (t) => {
  const networks: Record<string, [number[], number]> = {
    '10.0.0.0/8': [[10, 0, 0, 0], 8],
    '192.0.2.1': [[192, 0, 2, 1], 32],
    '192.0.2.128/25': [[192, 0, 2, 128], 25],
    '0.0.0.0/0': [[0, 0, 0, 0], 0],
    '::/0': [Array(16).fill(0), 0],
    '::1': [[...Array(15).fill(0), 1], 128],
    '2001:db8::/32': [[0x20, 1, 0x0d, 0xb8, ...Array(12).fill(0)], 32],
    '2001:DB8:0:1::/63': [[], 63],
    '1:2:3:4:5:6:7:8': [[0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8], 128],
    '64:ff9b::192.0.2.1': [[0, 0x64, 0xff, 0x9b, ...Array(8).fill(0), 192, 0, 2, 1], 128],
    'fe80::/10': [[0xfe, 0x80, ...Array(14).fill(0)], 10],
  };
  for (const [text, [bytes, prefixBits]] of Object.entries(networks)) {
    const parsed = parseNetwork(text);
    if (bytes.length === 0) t.match(parsed, { ok: false, reason: /expected 2001:db8::\/63$/ });
    else t.strictSame(parsed, { ok: true, value: { bytes, prefixBits } }, text);
  }
});

t.test('server name: what the file may say, the look-up understands', async (t) => {
  const names = {
    '*': '*',
    'db.example.com': 'db.example.com',
    'DB.Example.COM': 'db.example.com',
    '*.example.com': '*.example.com',
    'bücher.example': 'xn--bcher-kva.example',
    '*.bücher.example': '*.xn--bcher-kva.example',
    localhost: 'localhost',
    _x_y: '_x_y',
    '1.example': '1.example',
    [`${'a'.repeat(63)}.b`]: `${'a'.repeat(63)}.b`,
  };
  for (const [text, value] of Object.entries(names)) {
    t.strictSame(parseServerName(text), { ok: true, value }, text);
    t.doesNotThrow(() => new ServerNames([{ names: [value] }]), text);
  }
  const wrong = ['', '*.', '*.*', '**', '.a', 'a.', 'a..b', 'a/b', 'a b', '-a', 'a-', '1.2.3.4'];
  wrong.push('::1', '[::1]', '1.2', '*.1', 'a:1', 'a'.repeat(64), `${'a.'.repeat(127)}abc`, '%41');
  for (const text of wrong) t.equal(parseServerName(text).ok, false, text);
});
