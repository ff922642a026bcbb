import t from 'tap';
import {
  decodeAddress,
  formatAddress,
  isLoopbackSockaddr,
  Sockaddr,
  Socket,
  type SocketAddress,
} from '#src/splice/index.js';

/** Through the kernel's form and back. */
function roundTrip(address: SocketAddress): SocketAddress {
  const { memory, byteLength } = new Sockaddr(address);
  return decodeAddress(memory.bytes, byteLength);
}

t.test('address: IPv4 goes into the kernel’s form and back', async (t) => {
  for (const host of ['0.0.0.0', '127.0.0.1', '255.255.255.255', '10.0.200.3']) {
    for (const port of [0, 1, 80, 256, 65535]) {
      t.same(roundTrip({ family: 'inet', host, port }), { family: 'inet', host, port });
    }
  }
});

t.test('address: IPv4 lies in network byte order', async (t) => {
  const sockaddr = new Sockaddr({ family: 'inet', host: '1.2.3.4', port: 0x1234 });
  t.equal(sockaddr.domain, Socket.AF_INET);
  t.equal(sockaddr.byteLength, 16);
  t.same([...sockaddr.memory.bytes], [2, 0, 0x12, 0x34, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
});

const inet6: readonly [given: string, canonical: string][] = [
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['2001:db8::', '2001:db8::'],
  ['2001:DB8::A', '2001:db8::a'],
  ['2001:db8:0:0:0:0:0:1', '2001:db8::1'],
  ['2001:0db8:0001:0002:0003:0004:0005:0006', '2001:db8:1:2:3:4:5:6'],
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ['fe80::1:2:3:4', 'fe80::1:2:3:4'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['::192.0.2.33', '::c000:221'],
];

t.test('address: IPv6 comes back in its shortest form', async (t) => {
  for (const [given, canonical] of inet6) {
    const back = roundTrip({ family: 'inet6', host: given, port: 443 });
    t.same(back, { family: 'inet6', host: canonical, port: 443 }, given);
    t.same(roundTrip(back), back, `${canonical} again`);
  }
});

t.test('address: IPv6 lies in network byte order, its scope in the machine’s', async (t) => {
  const sockaddr = new Sockaddr({ family: 'inet6', host: 'fe80::1%258', port: 0x1234 });
  t.equal(sockaddr.domain, Socket.AF_INET6);
  t.equal(sockaddr.byteLength, 28);
  const { bytes } = sockaddr.memory;
  t.same([...bytes.subarray(0, 8)], [10, 0, 0x12, 0x34, 0, 0, 0, 0]);
  t.same([...bytes.subarray(8, 24)], [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  t.same([...bytes.subarray(24)], [2, 1, 0, 0]);
});

t.test('address: a scope id comes back with its address', async (t) => {
  const scoped = { family: 'inet6', host: 'fe80::1%3', port: 1 } as const;
  t.same(roundTrip(scoped), scoped);
  t.same(roundTrip({ ...scoped, host: 'fe80::1%0' }), { ...scoped, host: 'fe80::1' });
});

t.test('address: IPv4 inside IPv6 is given as IPv4', async (t) => {
  for (const host of ['::ffff:192.0.2.1', '::ffff:c000:201', '0:0:0:0:0:ffff:192.0.2.1']) {
    t.same(roundTrip({ family: 'inet6', host, port: 80 }), {
      family: 'inet',
      host: '192.0.2.1',
      port: 80,
    });
  }
});

t.test('address: a unix path goes and comes, NUL counted', async (t) => {
  const address = { family: 'unix', path: '/run/häd gate.sock' } as const;
  const sockaddr = new Sockaddr(address);
  t.equal(sockaddr.byteLength, 2 + Buffer.byteLength(address.path) + 1);
  t.same(roundTrip(address), address);
});

t.test('address: an abstract name ends where the length says', async (t) => {
  const address = { family: 'unix', path: '@headgate' } as const;
  const sockaddr = new Sockaddr(address);
  t.equal(sockaddr.byteLength, 2 + 9);
  t.equal(sockaddr.memory.bytes[2], 0);
  t.same(roundTrip(address), address);
  const padded = Buffer.concat([sockaddr.memory.bytes, Buffer.alloc(99, 'x')]);
  t.same(decodeAddress(padded, sockaddr.byteLength), address, 'what lies behind it is ignored');
});

t.test('address: a unix peer without a name has an empty path', async (t) => {
  const sockaddr = Buffer.alloc(110);
  sockaddr.writeUInt16LE(Socket.AF_UNIX);
  t.same(decodeAddress(sockaddr, 2), { family: 'unix', path: '' });
  t.same(decodeAddress(sockaddr, 0), { family: 'unix', path: '' });
});

t.test('address: a path of full length has no NUL, and the kernel may say 111', async (t) => {
  const sockaddr = Buffer.alloc(110, 'p');
  sockaddr.writeUInt16LE(Socket.AF_UNIX);
  t.same(decodeAddress(sockaddr, 111), { family: 'unix', path: 'p'.repeat(108) });
});

t.test('address: is written as people write it', async (t) => {
  t.equal(formatAddress({ family: 'inet', host: '127.0.0.1', port: 80 }), '127.0.0.1:80');
  t.equal(formatAddress({ family: 'inet6', host: '::1', port: 80 }), '[::1]:80');
  t.equal(formatAddress({ family: 'unix', path: '/run/a' }), 'unix:/run/a');
  t.equal(formatAddress({ family: 'unix', path: '@a' }), 'unix:@a');
  t.equal(formatAddress({ family: 'unix', path: '' }), 'unix:');
  t.equal(`${new Sockaddr({ family: 'inet', host: '1.2.3.4', port: 5 })}`, '1.2.3.4:5');
});

const wrong: readonly SocketAddress[] = [
  { family: 'inet', host: 'localhost', port: 80 },
  { family: 'inet', host: '::1', port: 80 },
  { family: 'inet', host: '1.2.3', port: 80 },
  { family: 'inet', host: '1.2.3.256', port: 80 },
  { family: 'inet', host: '', port: 80 },
  { family: 'inet', host: '127.0.0.1', port: -1 },
  { family: 'inet', host: '127.0.0.1', port: 65536 },
  { family: 'inet', host: '127.0.0.1', port: 1.5 },
  { family: 'inet', host: '127.0.0.1', port: Number.NaN },
  { family: 'inet6', host: '127.0.0.1', port: 80 },
  { family: 'inet6', host: '1:2', port: 80 },
  { family: 'inet6', host: '::1::', port: 80 },
  { family: 'inet', host: '010.0.0.1', port: 80 },
  { family: 'inet', host: '1.2.3.4.5', port: 80 },
  { family: 'inet6', host: 'fe80::1%eth0', port: 80 },
  { family: 'inet6', host: 'fe80::1%', port: 80 },
  { family: 'inet6', host: 'fe80::1%1%2', port: 80 },
  { family: 'inet6', host: 'fe80::1%4294967296', port: 80 },
  { family: 'inet6', host: '::1', port: 70000 },
  { family: 'unix', path: '' },
  { family: 'unix', path: 'p'.repeat(108) },
  { family: 'unix', path: 'ä'.repeat(54) },
  { family: 'unix', path: 'a\0b' },
];

t.test('address: what is no address is a RangeError', async (t) => {
  for (const address of wrong) {
    t.throws(() => new Sockaddr(address), { name: 'RangeError' }, JSON.stringify(address));
  }
  t.doesNotThrow(() => new Sockaddr({ family: 'unix', path: 'p'.repeat(107) }));
});

t.test('address: what only this machine has', async (t) => {
  const isLocal = (address: SocketAddress) =>
    isLoopbackSockaddr(new Sockaddr(address).memory.bytes);
  for (const [family, host, expected] of [
    ['inet', '127.0.0.1', true],
    ['inet', '127.255.0.7', true],
    ['inet', '126.0.0.1', false],
    ['inet', '0.0.0.127', false],
    ['inet6', '::1', true],
    ['inet6', '::2', false],
    ['inet6', '1::1', false],
    ['inet6', '::ffff:127.3.2.1', true],
    ['inet6', '::ffff:10.127.0.1', false],
  ] as const) {
    t.equal(isLocal({ family, host, port: 7 }), expected, host);
  }
  t.equal(isLocal({ family: 'unix', path: '/127' }), false);
});
