import t from 'tap';
import { ResolvedNetworks } from '#src/proxy/http/outbound/resolved-networks.js';
import { networks } from '../requests.js';

t.test('resolved networks: unless told, only the public Internet', async (t) => {
  const open = new ResolvedNetworks(null);
  for (const ip of ['1.1.1.1', '93.184.216.34', '172.32.0.1', '100.128.0.1', '2606:4700::1111']) {
    t.ok(open.has(ip), ip);
  }
  for (const ip of [
    ...['0.0.0.0', '127.0.0.1', '127.255.255.254', '10.0.0.1', '172.16.0.1', '172.31.255.255'],
    ...['192.168.1.1', '169.254.169.254', '100.64.0.1', '192.0.0.8', '198.18.0.1', '224.0.0.1'],
    ...['255.255.255.255', '::', '::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::7f00:1'],
    ...['fe80::1', 'fd00::1', 'fc00::1', 'ff02::1', 'fec0::1', '64:ff9b::7f00:1', '2002:7f00:1::'],
    ...['2001:db8::1', '2001::1', '100::1'],
  ]) {
    t.notOk(open.has(ip), ip);
  }
});

t.test('resolved networks: what is said holds exactly', async (t) => {
  const some = new ResolvedNetworks(networks('10.0.0.0/8', '127.0.0.2', 'fd00::/8'));
  for (const ip of ['10.1.2.3', '127.0.0.2', '::ffff:10.1.2.3', 'fd00::1']) t.ok(some.has(ip), ip);
  for (const ip of ['127.0.0.1', '1.1.1.1', '11.0.0.1', 'fe80::1', '2606:4700::1111']) {
    t.notOk(some.has(ip), ip);
  }
});

t.test('resolved networks: what is no address is nowhere', async (t) => {
  const all = new ResolvedNetworks(networks('0.0.0.0/0', '::/0'));
  for (const ip of ['', 'a', '1.2.3', '1.2.3.4.5', 'fe80::1%eth0', '[::1]', '0x7f.0.0.1']) {
    t.notOk(all.has(ip), ip);
  }
});
