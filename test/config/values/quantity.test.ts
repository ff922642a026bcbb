import t from 'tap';
import { parseDuration, parseSize } from '#src/config/values/quantity.js';

t.test('quantity: durations are milliseconds', async (t) => {
  const milliseconds = { '0ms': 0, '500ms': 500, '5s': 5000, '2m': 120_000, '1h': 3_600_000 };
  for (const [text, value] of Object.entries(milliseconds)) {
    t.strictSame(parseDuration(text), { ok: true, value }, text);
  }
});

t.test('quantity: sizes are bytes', async (t) => {
  const bytes = { '0': 0, '4096': 4096, '64KiB': 65_536, '1MiB': 1_048_576, '1GiB': 2 ** 30 };
  for (const [text, value] of Object.entries(bytes)) {
    t.strictSame(parseSize(text), { ok: true, value }, text);
  }
});

t.test('quantity: what is not exactly that is refused', async (t) => {
  for (const text of ['', ' ', '5', 's', '5S', '5 s', ' 5s', '5s ', '1.5s', '-5s', '1e3s', '5µs']) {
    t.equal(parseDuration(text).ok, false, JSON.stringify(text));
  }
  for (const text of ['', 'KiB', '1kib', '1KB', '1 KiB', '1.5KiB', '-1', '1TiB', '9'.repeat(20)]) {
    t.equal(parseSize(text).ok, false, JSON.stringify(text));
  }
});
