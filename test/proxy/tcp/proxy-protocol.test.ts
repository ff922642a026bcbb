import t, { type Test } from 'tap';
import {
  findTlv,
  PARTIAL,
  type ProxyEndpoints,
  ProxyHeader,
  ProxySslType,
  ProxyTlvType,
  parseProxyHeader,
  Rejection,
  readProxySsl,
  V1_BYTES_MAX,
  writeProxyV1,
  writeProxyV2,
} from '#src/proxy/tcp/index.js';
import { SockaddrUn, type SocketAddress } from '#src/splice/index.js';
import { answers, broken, embedded, exact, guarded } from './feeding.js';
import { vector } from './hello-builder.js';

const ALL_BYTES_MAX = 16 + 65535;
let header = new ProxyHeader();

const parse = (bytes: Buffer, start: number, end: number) => {
  header = new ProxyHeader();
  return parseProxyHeader(bytes, start, end, header);
};

function feed(t: Test, bytes: Buffer): number {
  const answer = parse(exact(bytes), 0, bytes.length);
  for (const fill of [0x00, 0x0a, 0x50]) {
    t.equal(parse(...embedded(bytes, 5, fill)), answer, `surrounded by ${fill}`);
  }
  t.equal(parse(guarded(bytes), 0, bytes.length), answer, 'guarded');
  const series = answers(bytes, parse);
  t.equal(broken([...series.entries()]), undefined, 'every prefix');
  return answer;
}

function accepts(t: Test, bytes: Buffer, version: 1 | 2): ProxyHeader {
  t.equal(feed(t, bytes), bytes.length, 'all is consumed');
  const series = answers(bytes, parse);
  t.ok(
    series.slice(0, -1).every((answer) => answer === PARTIAL),
    'each prefix is partial',
  );
  const more = Buffer.concat([bytes, Buffer.from('\r\nmore')]);
  t.equal(parse(more, 0, more.length), bytes.length, 'and nothing behind it');
  t.equal(header.version, version);
  return header;
}

function rejects(t: Test, bytes: Buffer | string, name: keyof typeof Rejection): void {
  const all = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  t.equal(feed(t, all), -Rejection[name], `${name}: ${all.toString('latin1').slice(0, 60)}`);
  const more = Buffer.concat([all, Buffer.from('\r\n'.repeat(100))]);
  t.equal(parse(more, 0, more.length), -Rejection[name], `${name}, whatever follows`);
}

const inet = (host: string, port: number): SocketAddress => ({ family: 'inet', host, port });
const inet6 = (host: string, port: number): SocketAddress => ({ family: 'inet6', host, port });
const unix = (path: string): SocketAddress => ({ family: 'unix', path });

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** A v2 header by hand. */
function v2(versionAndCommand: number, family: number, ...block: Uint8Array[]): Buffer {
  const fixed = Buffer.from([versionAndCommand, family]);
  return Buffer.concat([SIGNATURE, fixed, vector(2, Buffer.concat(block))]);
}

const tlv = (type: number, value: string | Uint8Array) =>
  Buffer.concat([Buffer.from([type]), vector(2, value)]);

const addresses = Buffer.from([192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xbb]);
const endpoints: ProxyEndpoints = {
  source: inet('192.0.2.1', 12345),
  destination: inet('198.51.100.2', 443),
};

t.test('proxy v1: TCP4 and TCP6', async (t) => {
  const four = accepts(t, Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n'), 1);
  t.same(four.endpoints, endpoints);
  t.equal(four.isLocal, false);
  const six = accepts(t, Buffer.from('PROXY TCP6 2001:DB8::1 0:0:0:0:0:0:0:1 0 65535\r\n'), 1);
  t.same(six.endpoints, { source: inet6('2001:db8::1', 0), destination: inet6('::1', 65535) });
  const longest = `PROXY TCP6 ${Array(8).fill('ffff').join(':')} ${Array(8).fill('ffff').join(':')} 65535 65535\r\n`;
  t.equal(longest.length, 104, 'as in the specification');
  accepts(t, Buffer.from(longest), 1);
});

t.test('proxy v1: IPv4 in IPv6 is IPv4', async (t) => {
  const bytes = Buffer.from('PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 12345 443\r\n');
  t.same(accepts(t, bytes, 1).endpoints, endpoints);
});

t.test('proxy v1: UNKNOWN leaves the connection its own addresses', async (t) => {
  for (const rest of ['', ' ', ' ffff::1 anything at all', ' \xff\0']) {
    const bytes = Buffer.from(`PROXY UNKNOWN${rest}\r\n`, 'latin1');
    t.equal(accepts(t, bytes, 1).endpoints, undefined);
  }
  const longest = Buffer.from(`PROXY UNKNOWN ${'f'.repeat(V1_BYTES_MAX - 16)}\r\n`);
  t.equal(longest.length, 107);
  accepts(t, longest, 1);
  rejects(t, `PROXY UNKNOWN ${'f'.repeat(V1_BYTES_MAX - 15)}\r\n`, 'proxy_line_malformed');
});

t.test('proxy v1: to the letter', async (t) => {
  const good = '192.0.2.1 198.51.100.2 12345 443';
  for (const line of [
    ...[`PROXY TCP5 ${good}\r\n`, `PROXY tcp4 ${good}\r\n`, `PROXY  TCP4 ${good}\r\n`],
    ...[`PROXY TCP4  ${good}\r\n`, `PROXY TCP4 ${good} \r\n`, `PROXY TCP4 ${good} 1\r\n`],
    ...['PROXY TCP4\r\n', 'PROXY \r\n', 'PROXY UNKNOWNS\r\n', 'PROXY TCP4 1.2.3.4 1.2.3.4 5\r\n'],
    ...[`PROXY TCP4 ${good}\n`, `PROXY TCP4 ${good}\r `, `PROXY TCP4 ${good}\r\r\n`],
    ...[`PROXY TCP4\t${good}\r\n`, `PROXY UNKNOWN a\nb\r\n`, `PROXY UNKNOWN a\rb\r\n`],
    `PROXY ${'x'.repeat(200)}`,
  ]) {
    rejects(t, line, 'proxy_line_malformed');
  }
  for (const line of [
    'GET / HTTP/1.1\r\n',
    'PROXI',
    'proxy TCP4 ',
    'PROXY\tTCP4',
    '\x16\x03\x01',
  ]) {
    rejects(t, line, 'proxy_missing');
  }
});

t.test('proxy v1: addresses and ports are written in one way only', async (t) => {
  for (const host of [
    ...[
      '1.2.3',
      '1.2.3.4.5',
      '01.2.3.4',
      '256.2.3.4',
      '1.2.3.-4',
      '0x1.2.3.4',
      '1.2.3.',
      '::1',
      'a',
    ],
  ]) {
    rejects(t, `PROXY TCP4 ${host} 1.2.3.4 1 2\r\n`, 'proxy_address_malformed');
    rejects(t, `PROXY TCP4 1.2.3.4 ${host} 1 2\r\n`, 'proxy_address_malformed');
  }
  for (const host of [
    ...['1.2.3.4', ':', ':::', '::1::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '12345::'],
    ...['1:2:3:4:5:6:7:', ':1:2:3:4:5:6:7', '1:2:3:4:5:6:7::8', 'g::', '::1%1', '[::1]', '::1.2.3'],
    ...['1:2:3:4:5:6:7:1.2.3.4', '::1.2.3.04', '1::2:', '1.2.3.4::', '::1.2.3.4:5', ''],
  ]) {
    rejects(t, `PROXY TCP6 ${host} ::1 1 2\r\n`, 'proxy_address_malformed');
  }
  for (const port of [
    '65536',
    '01',
    '00',
    '-1',
    '+1',
    '1e3',
    '0x1',
    'http',
    '99999999999999999999',
  ]) {
    rejects(t, `PROXY TCP4 1.2.3.4 1.2.3.4 ${port} 2\r\n`, 'proxy_address_malformed');
    rejects(t, `PROXY TCP4 1.2.3.4 1.2.3.4 1 ${port}\r\n`, 'proxy_address_malformed');
  }
  for (const host of [
    '::',
    '1::',
    '::1',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '1:2:3:4:5:6:1.2.3.4',
  ]) {
    accepts(t, Buffer.from(`PROXY TCP6 ${host} 1::2 1 2\r\n`), 1);
  }
});

t.test('proxy v2: IPv4, IPv6 and unix addresses', async (t) => {
  t.same(accepts(t, v2(0x21, 0x11, addresses), 2).endpoints, endpoints);
  const six = Buffer.alloc(36);
  six.set([0x20, 0x01, 0x0d, 0xb8], 0);
  six[15] = 1;
  six[31] = 1;
  six.set([0, 80, 1, 187], 32);
  t.same(accepts(t, v2(0x21, 0x21, six), 2).endpoints, {
    source: inet6('2001:db8::1', 80),
    destination: inet6('::1', 443),
  });
  const paths = Buffer.alloc(216);
  paths.write('/run/a.sock', 0);
  paths.write('\0abstract', 108);
  t.same(accepts(t, v2(0x21, 0x31, paths), 2).endpoints, {
    source: unix('/run/a.sock'),
    destination: unix('@abstract'),
  });
  t.same(accepts(t, v2(0x21, 0x31, Buffer.alloc(216)), 2).endpoints, {
    source: unix(''),
    destination: unix(''),
  });
});

t.test('proxy v2: LOCAL, whatever else the header says', async (t) => {
  for (const bytes of [
    v2(0x20, 0),
    v2(0x20, 0x11, addresses),
    v2(0x20, 0xff, Buffer.alloc(7, 9)),
  ]) {
    const { isLocal, endpoints, tlvs } = accepts(t, bytes, 2);
    t.same({ isLocal, endpoints, tlvs }, { isLocal: true, endpoints: undefined, tlvs: [] });
  }
});

t.test(
  'proxy v2: unspecified and datagram families leave the connection its own addresses',
  async (t) => {
    for (const family of [0x00, 0x01, 0x10, 0x12]) {
      const found = accepts(t, v2(0x21, family, addresses), 2);
      t.same([found.isLocal, found.endpoints], [false, undefined], `family ${family}`);
    }
    const found = accepts(t, v2(0x21, 0x12, addresses, tlv(ProxyTlvType.AUTHORITY, 'a')), 2);
    t.equal(found.tlvs.length, 1, 'with a known family, the TLVs are found');
  },
);

t.test('proxy v2: what is not assigned, and lengths that do not fit', async (t) => {
  rejects(t, v2(0x11, 0x11, addresses), 'proxy_unassigned');
  rejects(t, v2(0x31, 0x11, addresses), 'proxy_unassigned');
  rejects(t, v2(0x22, 0x11, addresses), 'proxy_unassigned');
  rejects(t, v2(0x21, 0x41, addresses), 'proxy_unassigned');
  rejects(t, v2(0x21, 0x13, addresses), 'proxy_unassigned');
  rejects(t, v2(0x21, 0x11, addresses.subarray(1)), 'proxy_length_mismatch');
  rejects(t, v2(0x21, 0x21, Buffer.alloc(35)), 'proxy_length_mismatch');
  rejects(t, v2(0x21, 0x31, Buffer.alloc(215)), 'proxy_length_mismatch');
  rejects(t, '\r\n\r\nGET / HTTP/1.1\r\n', 'proxy_missing');
});

t.test('proxy v2: a limit of 4 KiB, unless there is another', async (t) => {
  const noop = (bytes: number) => v2(0x21, 0x11, addresses, tlv(4, Buffer.alloc(bytes - 31)));
  t.equal(noop(4096).length, 4096);
  t.equal(parse(noop(4096), 0, 4096), 4096);
  t.equal(parse(noop(4097), 0, 16), -Rejection.proxy_too_large, 'the length tells');
  const largest = noop(ALL_BYTES_MAX);
  t.equal(parseProxyHeader(largest, 0, largest.length, header, ALL_BYTES_MAX), ALL_BYTES_MAX);
});

t.test('proxy v2: TLVs are kept in order, unknown ones too', async (t) => {
  const bytes = v2(
    0x21,
    0x11,
    addresses,
    tlv(ProxyTlvType.ALPN, 'h2'),
    tlv(ProxyTlvType.NOOP, 'xxxx'),
    tlv(ProxyTlvType.AUTHORITY, 'db.example.com'),
    tlv(ProxyTlvType.UNIQUE_ID, Buffer.alloc(128, 7)),
    tlv(ProxyTlvType.NETNS, 'blue'),
    tlv(ProxyTlvType.AWS, '\x01vpce-1'),
    tlv(0xf3, ''),
  );
  const found = accepts(t, bytes, 2);
  const { tlvs } = found;
  t.same(
    tlvs.map(({ type }) => type),
    [1, 2, 5, 0x30, 0xea, 0xf3],
  );
  t.equal(findTlv(tlvs, ProxyTlvType.AUTHORITY)?.toString(), 'db.example.com');
  t.equal(findTlv(tlvs, ProxyTlvType.AWS)?.toString(), '\x01vpce-1');
  t.equal(findTlv(tlvs, ProxyTlvType.SSL), undefined);
  const buffer = exact(bytes);
  parse(buffer, 0, buffer.length);
  buffer.fill(0);
  t.equal(findTlv(header.tlvs, ProxyTlvType.ALPN)?.toString(), 'h2', 'they are copies');
});

t.test('proxy v2: the SSL TLV has TLVs of its own', async (t) => {
  const inner = Buffer.concat([
    Buffer.from([0x07, 0, 0, 0, 0]),
    tlv(ProxySslType.VERSION, 'TLSv1.3'),
    tlv(ProxySslType.CN, 'client'),
  ]);
  const { tlvs } = accepts(t, v2(0x21, 0x11, addresses, tlv(ProxyTlvType.SSL, inner)), 2);
  const ssl = readProxySsl(findTlv(tlvs, ProxyTlvType.SSL)!);
  t.same([ssl.client, ssl.verify], [7, 0]);
  t.equal(findTlv(ssl.tlvs, ProxySslType.VERSION)?.toString(), 'TLSv1.3');
  t.equal(findTlv(ssl.tlvs, ProxySslType.CN)?.toString(), 'client');
});

t.test('proxy v2: TLVs must add up', async (t) => {
  const withBytes = (...bytes: number[]) => v2(0x21, 0x11, addresses, Buffer.from(bytes));
  rejects(t, withBytes(1), 'proxy_tlv_malformed');
  rejects(t, withBytes(1, 0), 'proxy_tlv_malformed');
  rejects(t, withBytes(1, 0, 1), 'proxy_tlv_malformed');
  rejects(t, withBytes(1, 0, 0, 2), 'proxy_tlv_malformed');
  rejects(t, withBytes(3, 0, 3, 0, 0, 0), 'proxy_tlv_malformed');
  rejects(t, withBytes(0x20, 0, 4, 0, 0, 0, 0), 'proxy_tlv_malformed');
  rejects(t, withBytes(0x20, 0, 7, 0, 0, 0, 0, 0, 1, 0), 'proxy_tlv_malformed');
  rejects(t, withBytes(0x20, 0, 8, 0, 0, 0, 0, 0, 1, 0, 1), 'proxy_tlv_malformed');
  rejects(t, v2(0x21, 0x11, addresses, tlv(5, Buffer.alloc(129))), 'proxy_tlv_malformed');
});

t.test('proxy v2: a CRC32C is verified', async (t) => {
  const into = Buffer.alloc(256);
  const tlvs = [{ type: ProxyTlvType.AUTHORITY, value: Buffer.from('a.example') }];
  const length = writeProxyV2(into, endpoints, { tlvs, crc32c: true });
  const good = exact(into.subarray(0, length));
  const found = accepts(t, good, 2);
  t.same(found.endpoints, endpoints);
  t.same(
    found.tlvs.map(({ type }) => type),
    [ProxyTlvType.AUTHORITY],
  );
  // Without its type, a checksum is none.
  const typeAt = length - 7;
  for (let at = 16; at < length; at++) {
    if (at === typeAt) continue;
    const bad = exact(good);
    bad[at]! ^= 0x10;
    t.ok(parse(bad, 0, length) < 0, `byte ${at} is wrong`);
  }
  const checksum = tlv(3, Buffer.alloc(4));
  rejects(t, v2(0x21, 0x11, addresses, checksum, checksum), 'proxy_tlv_malformed');
  rejects(t, v2(0x21, 0x11, addresses, checksum), 'proxy_checksum');
});

t.test('proxy writer: what is written is read again', async (t) => {
  const into = Buffer.alloc(512);
  const pairs: ProxyEndpoints[] = [
    endpoints,
    { source: inet('0.0.0.0', 0), destination: inet('255.255.255.255', 65535) },
    { source: inet6('2001:db8::1', 1), destination: inet6('::', 2) },
    { source: inet6('1:2:3:4:5:6:7:8', 1), destination: inet6('fe80::1', 2) },
    { source: inet('192.0.2.1', 1), destination: inet6('2001:db8::2', 2) },
    { source: inet6('2001:db8::1', 1), destination: inet('192.0.2.2', 2) },
  ];
  for (const pair of pairs) {
    for (const version of [1, 2] as const) {
      const length =
        version === 1 ? writeProxyV1(into, pair) : writeProxyV2(into, pair, { crc32c: true });
      t.same(accepts(t, exact(into.subarray(0, length)), version).endpoints, pair);
    }
  }
  const paths = {
    source: unix('/run/a'),
    destination: unix(`@${'b'.repeat(SockaddrUn.pathBytes - 2)}`),
  };
  t.same(accepts(t, exact(into.subarray(0, writeProxyV2(into, paths))), 2).endpoints, paths);
});

t.test('proxy writer: what a version has no words for', async (t) => {
  const into = Buffer.alloc(256, 0xee);
  const text = (pair: ProxyEndpoints | undefined) =>
    into.toString('latin1', 0, writeProxyV1(into, pair));
  t.equal(text(undefined), 'PROXY UNKNOWN\r\n');
  t.equal(text({ source: unix('/a'), destination: unix('/b') }), 'PROXY UNKNOWN\r\n');
  t.equal(text(endpoints), 'PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n');
  const zone = { source: inet6('fe80::1%2', 1), destination: inet6('fe80::2%2', 2) };
  t.equal(text(zone), 'PROXY TCP6 fe80::1 fe80::2 1 2\r\n', 'a zone is nobody else’s business');
  t.equal(accepts(t, exact(into.subarray(0, writeProxyV2(into, undefined))), 2).isLocal, true);
  const mixed = { source: unix('/a'), destination: inet('192.0.2.1', 1) };
  const found = accepts(t, exact(into.subarray(0, writeProxyV2(into, mixed))), 2);
  t.same([found.isLocal, found.endpoints], [false, undefined]);
  t.same(accepts(t, exact(into.subarray(0, writeProxyV2(into, zone))), 2).endpoints, {
    source: inet6('fe80::1', 1),
    destination: inet6('fe80::2', 2),
  });
});

t.test('proxy writer: too small a buffer is a bug of the caller', async (t) => {
  for (let bytes = 0; bytes < 28 + 7 + 5; bytes++) {
    const tlvs = [{ type: 1, value: Buffer.from('h2') }];
    t.throws(
      () => writeProxyV2(Buffer.alloc(bytes), endpoints, { tlvs, crc32c: true }),
      RangeError,
    );
  }
});

t.test('proxy writer: the example of CRC32C in RFC 3720 §B.4', async (t) => {
  const { crc32c } = await import('#src/proxy/tcp/crc32c.js');
  t.equal(crc32c(Buffer.alloc(32), 0, 32, -4), 0x8a9136aa);
  t.equal(crc32c(Buffer.alloc(32, 0xff), 0, 32, -4), 0x62a8ab43);
  t.equal(crc32c(Buffer.from('123456789'), 0, 9, -4), 0xe3069283);
});
