import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { HostsFile } from '#src/control/discovery/hosts-file.js';

t.test('hosts file: names and aliases of both families, in the file’s order', async (t) => {
  const hosts = new HostsFile(write(t, '::1 localhost\n127.0.0.1\tlocalhost  Loop # local\n'));
  t.same(await hosts.find('localhost'), ['::1', '127.0.0.1']);
  t.same(await hosts.find('loop'), ['127.0.0.1']);
  t.same(await hosts.find('local'), []);
});

t.test('hosts file: what is not an address with names is passed over', async (t) => {
  const text = '# comment\n\n127.0.0.1\nnonsense db\n300.1.1.1 db\n192.0.2.1 db\n';
  const hosts = new HostsFile(write(t, text));
  t.same(await hosts.find('db'), ['192.0.2.1']);
});

t.test('hosts file: a change is seen, a file that goes away is an empty one', async (t) => {
  const path = write(t, '192.0.2.1 db\n');
  const hosts = new HostsFile(path);
  t.same(await hosts.find('db'), ['192.0.2.1']);
  writeFileSync(path, '192.0.2.200 db\n');
  t.same(await hosts.find('db'), ['192.0.2.200']);
  rmSync(path);
  t.same(await hosts.find('db'), []);
  writeFileSync(path, '192.0.2.3 db\n');
  t.same(await hosts.find('db'), ['192.0.2.3']);
});

t.test('hosts file: one that cannot be read is as it was', async (t) => {
  const path = write(t, '192.0.2.1 db\n');
  const hosts = new HostsFile(path);
  t.same(await hosts.find('db'), ['192.0.2.1']);
  rmSync(path);
  mkdirSync(path);
  t.same(await hosts.find('db'), ['192.0.2.1'], 'EISDIR');
});

function write(t: Test, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'headgate-hosts-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'hosts');
  writeFileSync(path, text);
  return path;
}
