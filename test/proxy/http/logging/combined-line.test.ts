import t from 'tap';
import { combinedLine } from '#src/proxy/http/logging/combined-line.js';
import { logTime } from '#src/proxy/http/logging/log-time.js';

const at = Date.UTC(2026, 10, 21, 7, 34, 30);

/** Node asks for the zone again when the variable is set. */
function inZone(zone: string, nowMs: number): string {
  const before = process.env.TZ;
  process.env.TZ = zone;
  try {
    return logTime(nowMs);
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
}

t.test('combined: the time is local, with its zone', async (t) => {
  t.equal(inZone('UTC', at), '21/Nov/2026:07:34:30 +0000');
  t.equal(inZone('Asia/Kolkata', at + 1000), '21/Nov/2026:13:04:31 +0530');
  t.equal(inZone('America/St_Johns', at + 2000), '21/Nov/2026:04:04:32 -0330');
  t.equal(inZone('UTC', Date.UTC(2027, 0, 1, 0, 0, 0, 999)), '01/Jan/2027:00:00:00 +0000');
});

t.test(
  'combined: every byte that is no printable ASCII, quotes and backslashes are in hexadecimal',
  async (t) => {
    const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));
    const line = combinedLine(
      {
        ...{ client: '::1', user: undefined, request: undefined, status: 0, bodyBytes: 0 },
        referer: '',
        userAgent: all.join(''),
      },
      at,
    );
    const [, shown] = /^::1 - - \[[^\]]+\] "-" 000 0 "" "(.*)"\n$/.exec(line)!;
    const expected = all.map((character, code) => {
      const isPlain = code >= 0x20 && code < 0x7f && character !== '"' && character !== '\\';
      return isPlain ? character : `\\x${code.toString(16).toUpperCase().padStart(2, '0')}`;
    });
    t.equal(shown, expected.join(''));
  },
);

t.test('combined: a client without an address is unix:, as it is for nginx', async (t) => {
  const fields = { user: 'a b', request: 'GET / HTTP/1.1', status: 200, bodyBytes: 5 };
  const line = combinedLine(
    { ...fields, client: '', referer: undefined, userAgent: undefined },
    at,
  );
  t.match(line, /^unix: - a b \[.*\] "GET \/ HTTP\/1\.1" 200 5 "-" "-"\n$/);
});
