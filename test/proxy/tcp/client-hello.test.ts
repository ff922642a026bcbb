import t, { type Test } from 'tap';
import { ClientHello, PARTIAL, parseClientHello, Rejection } from '#src/proxy/tcp/index.js';
import { answers, broken, embedded, exact, guarded } from './feeding.js';
import {
  alpn,
  extension,
  hello,
  helloMessage,
  record,
  records,
  serverName,
  supportedVersions,
  uint16,
  vector,
} from './hello-builder.js';

const result = new ClientHello();
const parse = (bytes: Buffer, start: number, end: number) =>
  parseClientHello(bytes, start, end, result);

/** Feeds `bytes` whole, embedded, guarded, and as every prefix. */
function feed(t: Test, bytes: Buffer): number {
  const answer = parse(exact(bytes), 0, bytes.length);
  for (const fill of [0x00, 0x16, 0xff]) {
    t.equal(parse(...embedded(bytes, 3, fill)), answer, `surrounded by ${fill}`);
  }
  t.equal(parse(guarded(bytes), 0, bytes.length), answer, 'guarded');
  const series = answers(bytes, parse);
  t.equal(broken([...series.entries()]), undefined, 'every prefix');
  t.equal(series.at(-1), answer);
  return answer;
}

function accepts(t: Test, bytes: Buffer): ClientHello {
  t.equal(feed(t, bytes), bytes.length, 'all is consumed');
  const series = answers(bytes, parse);
  t.ok(
    series.slice(0, -1).every((answer) => answer === PARTIAL),
    'each prefix is partial',
  );
  return result;
}

function rejects(t: Test, bytes: Buffer, name: keyof typeof Rejection): void {
  t.equal(feed(t, bytes), -Rejection[name], name);
  const more = Buffer.concat([bytes, Buffer.alloc(32, 0x16)]);
  t.equal(parse(more, 0, more.length), -Rejection[name], `${name}, whatever follows`);
}

t.test('client hello: name, protocols and versions come out', async (t) => {
  const found = accepts(
    t,
    hello({
      extensions: [
        serverName('Db.Example.COM'),
        alpn('h2', 'http/1.1', '\x0a\x0a'),
        supportedVersions(0x2a2a, 0x0304, 0x0303),
        extension(0xfe0d, Buffer.alloc(40)),
        extension(0x1a1a, Buffer.alloc(0)),
      ],
    }),
  );
  t.equal(found.serverName, 'db.example.com');
  t.same(found.alpn, ['h2', 'http/1.1', '\x0a\x0a']);
  t.equal(found.version, 0x0304);
  t.equal(found.isEncrypted, true);
});

t.test('client hello: an old one needs no extensions', async (t) => {
  const found = accepts(t, hello({ version: 0x0301, rawExtensions: Buffer.alloc(0) }));
  t.equal(found.serverName, undefined);
  t.same(found.alpn, []);
  t.equal(found.version, 0x0301, 'legacy_version counts');
  t.equal(found.isEncrypted, false);
});

t.test('client hello: nothing of the one before is left', async (t) => {
  accepts(t, hello({ extensions: [serverName('a.example'), alpn('h2')] }));
  const found = accepts(t, hello({ extensions: [] }));
  t.same([found.serverName, found.alpn, found.version], [undefined, [], 0x0303]);
});

t.test('client hello: records of any size are put together', async (t) => {
  const message = helloMessage({ extensions: [serverName('split.example.com'), alpn('h2')] });
  for (const size of [1, 2, 3, 4, 5, 7, 31, 32, 33, 64, message.length - 1]) {
    t.equal(accepts(t, records(message, size)).serverName, 'split.example.com', `${size} bytes`);
  }
});

t.test('client hello: two records, cut at every place', async (t) => {
  const message = helloMessage();
  for (let cut = 1; cut < message.length; cut++) {
    const bytes = Buffer.concat([record(message.subarray(0, cut)), record(message.subarray(cut))]);
    const series = answers(bytes, parse);
    t.equal(series.at(-1), bytes.length);
    t.ok(series.slice(0, -1).every((answer) => answer === PARTIAL));
  }
});

t.test('client hello: what follows in further records is left alone', async (t) => {
  const bytes = hello();
  const withEarlyData = Buffer.concat([bytes, record(Buffer.alloc(100), 23)]);
  t.equal(parse(exact(withEarlyData), 0, withEarlyData.length), bytes.length);
});

t.test('client hello: up to 16 KiB, in one record or in many', async (t) => {
  const padding = (bytes: number) => {
    const short = helloMessage({
      extensions: [serverName('a.example'), extension(21, Buffer.alloc(0))],
    });
    const zeros = Buffer.alloc(bytes - (short.length - 4));
    return helloMessage({ extensions: [serverName('a.example'), extension(21, zeros)] });
  };
  const most = padding(16384);
  for (const size of [16384, 16380, 1000, 64, 6]) {
    const bytes = records(most, size);
    t.equal(parse(exact(bytes), 0, bytes.length), bytes.length, `records of ${size}`);
    t.equal(parse(exact(bytes), 0, bytes.length - 1), PARTIAL);
  }
  const more = records(padding(16385));
  t.equal(parse(exact(more), 0, 9), -Rejection.client_hello_too_large, 'the header tells');
  const tiny = records(most, 4);
  t.equal(parse(exact(tiny), 0, 33000), -Rejection.client_hello_too_large, 'too many records');
});

t.test('client hello: wantedBytes is never more than the hello has', async (t) => {
  const message = helloMessage();
  for (const bytes of [records(message), records(message, 50), records(message, 3)]) {
    for (let length = 0; length < bytes.length; length++) {
      parse(exact(bytes.subarray(0, length)), 0, length);
      t.ok(result.wantedBytes > length, 'more than there is');
      t.ok(result.wantedBytes <= bytes.length, 'no more than there will be');
    }
  }
  const whole = records(message);
  parse(exact(whole.subarray(0, 9)), 0, 9);
  t.equal(result.wantedBytes, whole.length, 'one record says all');
});

t.test('client hello: other protocols are recognised', async (t) => {
  rejects(t, Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'plain_http');
  rejects(t, Buffer.from('OPTIONS * HTTP/1.1\r\n'), 'plain_http');
  rejects(t, Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 'plain_http');
  rejects(t, Buffer.from('PROXY TCP4 '), 'not_tls');
  rejects(t, Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), 'not_tls');
  rejects(t, Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]), 'not_tls');
  rejects(t, Buffer.from([0x80, 0x2e, 0x01, 0x03, 0x01, 0, 0x15]), 'sslv2_hello');
  rejects(t, Buffer.from([0x80, 0x2e, 0x05, 0x03, 0x01]), 'not_tls');
  rejects(t, record(Buffer.from([2, 40]), 21), 'not_handshake');
  rejects(t, Buffer.from([0x17, 0x02, 0, 0, 0]), 'not_tls');
  t.equal(parse(exact(Buffer.from('GE')), 0, 2), PARTIAL, 'it may yet be GET');
  t.equal(result.wantedBytes, 3);
});

t.test('client hello: the record layer is held to RFC 8446 §5.1', async (t) => {
  const message = helloMessage();
  rejects(t, record(message, 22, 0x0200), 'version_unsupported');
  rejects(t, Buffer.concat([Buffer.from([22, 3, 1]), uint16(16385)]), 'record_too_large');
  rejects(t, record(Buffer.alloc(0)), 'record_empty');
  const first = record(message.subarray(0, 20));
  rejects(t, Buffer.concat([first, record(Buffer.alloc(0))]), 'record_empty');
  rejects(t, Buffer.concat([first, record(Buffer.from([1, 0]), 21)]), 'not_handshake');
  rejects(t, record(Buffer.concat([message, Buffer.from([1])])), 'client_hello_followed');
  rejects(
    t,
    Buffer.concat([first, record(Buffer.concat([message.subarray(20), message]))]),
    'client_hello_followed',
  );
  accepts(t, record(message, 22, 0x0303));
  accepts(t, record(message, 22, 0x0300));
});

t.test('client hello: messages of other types and versions', async (t) => {
  rejects(t, hello({ type: 2 }), 'not_client_hello');
  rejects(t, record(Buffer.from([0])), 'not_client_hello');
  rejects(t, hello({ version: 0x0300 }), 'version_unsupported');
  rejects(t, hello({ version: 0x0002 }), 'version_unsupported');
  accepts(t, hello({ version: 0x0399 }));
});

t.test('client hello: lengths must add up', async (t) => {
  rejects(t, record(Buffer.from([1, 0, 0, 0])), 'client_hello_malformed');
  rejects(
    t,
    record(Buffer.concat([Buffer.from([1]), vector(3, Buffer.alloc(33, 3))])),
    'client_hello_malformed',
  );
  rejects(t, hello({ sessionId: Buffer.alloc(33) }), 'client_hello_malformed');
  rejects(t, hello({ cipherSuites: vector(2, '') }), 'client_hello_malformed');
  rejects(t, hello({ cipherSuites: vector(2, 'abc') }), 'client_hello_malformed');
  rejects(t, hello({ compression: vector(1, '') }), 'client_hello_malformed');
  rejects(t, hello({ rawExtensions: Buffer.from([0]) }), 'client_hello_malformed');
  rejects(t, hello({ rawExtensions: Buffer.from([0, 1]) }), 'client_hello_malformed');
  rejects(t, hello({ rawExtensions: Buffer.from([0, 0, 0]) }), 'client_hello_malformed');
  rejects(t, hello({ rawExtensions: vector(2, Buffer.from([0, 0, 0])) }), 'client_hello_malformed');
  rejects(
    t,
    hello({ rawExtensions: vector(2, Buffer.from([0, 9, 0, 1])) }),
    'client_hello_malformed',
  );
  const message = helloMessage();
  // One byte less at the end, in a message that says so: the extensions' length disagrees.
  const cut = Buffer.concat([Buffer.from([1]), vector(3, message.subarray(4, -1))]);
  rejects(t, record(cut), 'client_hello_malformed');
  accepts(t, hello({ sessionId: Buffer.alloc(0) }));
});

t.test('client hello: an extension comes once, GREASE too', async (t) => {
  const one = extension(0x0a0a, Buffer.alloc(0));
  const other = extension(0xfafa, Buffer.from([0]));
  accepts(t, hello({ extensions: [one, serverName('a.example'), other] }));
  rejects(t, hello({ extensions: [one, one] }), 'extension_duplicate');
  rejects(
    t,
    hello({ extensions: [serverName('a.example'), alpn('h2'), serverName('b.example')] }),
    'extension_duplicate',
  );
});

t.test('client hello: server_name has the shape of RFC 6066 §3', async (t) => {
  const withName = (data: Buffer) => hello({ extensions: [extension(0, data)] });
  rejects(t, withName(Buffer.alloc(0)), 'server_name_malformed');
  rejects(t, withName(Buffer.from([0, 0])), 'server_name_malformed');
  rejects(t, withName(vector(2, Buffer.from([0, 0, 0]))), 'server_name_malformed');
  rejects(t, withName(vector(2, Buffer.from([0, 0, 0, 0]))), 'server_name_malformed');
  rejects(t, withName(vector(2, Buffer.from([0, 0, 5, 97]))), 'server_name_malformed');
  rejects(t, withName(Buffer.from([0, 9, 0, 0, 1, 97])), 'server_name_malformed');
  rejects(
    t,
    hello({ extensions: [serverName('a.example', 'b.example')] }),
    'server_name_duplicate',
  );
  const mixed = accepts(t, hello({ extensions: [serverName([7, '\0\xff'], 'a.example')] }));
  t.equal(mixed.serverName, 'a.example', 'names of other types are passed over');
  t.equal(accepts(t, hello({ extensions: [serverName([7, 'x'])] })).serverName, undefined);
});

t.test('client hello: a server name is a host name', async (t) => {
  const label = 'a'.repeat(63);
  const longest = `${label}.${label}.${label}.${'b'.repeat(63)}`;
  for (const name of [
    ...['localhost', 'a', 'xn--bcher-kva.example', 'a-b.c--d.example', '1a.example', '3com.com'],
    ...['my_db', '_dns.example', '4.example', longest],
  ]) {
    t.equal(accepts(t, hello({ extensions: [serverName(name)] })).serverName, name);
  }
  for (const name of [
    ...['example.com.', '.example.com', 'a..b', '.', '-a.example', 'a-.example', 'a b.example'],
    ...['exa\0mple.com', 'b\xfccher.example', '*.example.com', 'a/b', `${label}a.example`],
    ...['a@b', `a.${longest}`, `${longest}.a`],
  ]) {
    rejects(t, hello({ extensions: [serverName(name)] }), 'server_name_invalid');
  }
  for (const name of ['127.0.0.1', '1.2.3', '2130706433', '::1', '2001:db8::1', 'fe80::1%eth0']) {
    rejects(t, hello({ extensions: [serverName(name)] }), 'server_name_address');
  }
});

t.test('client hello: ALPN has the shape of RFC 7301 §3.1', async (t) => {
  const withAlpn = (data: Buffer) => hello({ extensions: [extension(16, data)] });
  rejects(t, withAlpn(Buffer.alloc(0)), 'alpn_malformed');
  rejects(t, withAlpn(vector(2, '')), 'alpn_malformed');
  rejects(t, withAlpn(vector(2, Buffer.from([0, 1, 97]))), 'alpn_malformed');
  rejects(t, withAlpn(vector(2, Buffer.from([1, 97, 0]))), 'alpn_malformed');
  rejects(t, withAlpn(vector(2, Buffer.from([1, 97, 5, 98]))), 'alpn_malformed');
  rejects(t, withAlpn(Buffer.from([0, 9, 1, 97])), 'alpn_malformed');
  t.same(accepts(t, hello({ extensions: [alpn('x'.repeat(255))] })).alpn, ['x'.repeat(255)]);
});

t.test('client hello: supported_versions has the shape of RFC 8446 §4.2.1', async (t) => {
  const withVersions = (data: Buffer) => hello({ extensions: [extension(43, data)] });
  rejects(t, withVersions(Buffer.alloc(0)), 'versions_malformed');
  rejects(t, withVersions(vector(1, '')), 'versions_malformed');
  rejects(t, withVersions(vector(1, Buffer.from([3, 4, 3]))), 'versions_malformed');
  rejects(t, withVersions(Buffer.from([4, 3, 4])), 'versions_malformed');
  rejects(t, withVersions(Buffer.from([2, 3, 4, 0])), 'versions_malformed');
  t.equal(accepts(t, hello({ extensions: [supportedVersions(0x0303, 0x0304)] })).version, 0x0304);
  t.equal(accepts(t, hello({ extensions: [supportedVersions(0x7f1c, 0x0302)] })).version, 0x0302);
  t.equal(accepts(t, hello({ extensions: [supportedVersions(0x3a3a)] })).version, 0);
});
