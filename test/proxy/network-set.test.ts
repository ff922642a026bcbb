import { BlockList, isIPv4 } from 'node:net';
import t from 'tap';
import { NetworkSet } from '#src/proxy/network-set.js';
import { Sockaddr } from '#src/splice/index.js';

function bytesOf(host: string): number[] {
  const family = isIPv4(host) ? 'inet' : 'inet6';
  const { bytes } = new Sockaddr({ family, host, port: 0 }).memory;
  return [...(family === 'inet' ? bytes.subarray(4, 8) : bytes.subarray(8, 24))];
}

function network(text: string) {
  const [host, bits] = text.split('/');
  return { bytes: bytesOf(host!), prefixBits: Number(bits) };
}

function has(set: NetworkSet, host: string): boolean {
  const bytes = bytesOf(host);
  return set.has(Uint8Array.from([7, ...bytes, 7]), 1, bytes.length as 4 | 16);
}

t.test('network set: knows members from others', async (t) => {
  const set = new NetworkSet(
    ['10.0.0.0/8', '192.168.1.128/25', '127.0.0.1/32', '2001:db8::/32', '::1/128'].map(network),
  );
  for (const host of [
    '10.0.0.0',
    '10.255.255.255',
    '192.168.1.128',
    '127.0.0.1',
    '2001:db8::7',
    '::1',
  ]) {
    t.ok(has(set, host), host);
  }
  for (const host of [
    '9.255.255.255',
    '11.0.0.0',
    '192.168.1.127',
    '127.0.0.2',
    '2001:db9::',
    '::2',
  ]) {
    t.notOk(has(set, host), host);
  }
});

t.test('network set: everything of one family is nothing of the other', async (t) => {
  const set = new NetworkSet([network('0.0.0.0/0')]);
  t.ok(has(set, '0.0.0.0'));
  t.ok(has(set, '255.255.255.255'));
  t.notOk(has(set, '::1'));
});

t.test('network set: the empty set has no members', async (t) => {
  const set = new NetworkSet([]);
  t.ok(set.isEmpty);
  t.notOk(has(set, '127.0.0.1'));
  t.notOk(has(set, '::'));
});

t.test('network set: agrees with node’s own block list, in any order of networks', async (t) => {
  let seed = 42;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  // Few distinct values, so that networks nest and overlap.
  const host = () => `${10 + random(2)}.${random(4) * 64}.${random(3)}.${random(256)}`;
  for (let round = 0; round < 50; round++) {
    const list = new BlockList();
    const networks = Array.from({ length: random(20) }, () => {
      const text = host();
      const prefixBits = random(33);
      list.addSubnet(text, prefixBits, 'ipv4');
      return { bytes: bytesOf(text), prefixBits };
    });
    const set = new NetworkSet(networks);
    for (let probe = 0; probe < 100; probe++) {
      const text = host();
      if (has(set, text) !== list.check(text)) t.fail(`${text} in round ${round}`);
    }
  }
  t.pass('5,000 look-ups');
});
