import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { SearchList } from '#src/control/discovery/search-list.js';

t.test('search list: short names get longer first, long ones last', async (t) => {
  const list = open(t, 'nameserver 192.0.2.1\nsearch a.example B.Example.\n');
  t.same(await list.candidates('db'), ['db.a.example', 'db.b.example', 'db']);
  t.same(await list.candidates('db.c'), ['db.c', 'db.c.a.example', 'db.c.b.example']);
});

t.test('search list: a dot at the end says that a name is complete', async (t) => {
  t.same(await open(t, 'search a.example\n').candidates('db.'), ['db']);
});

t.test('search list: ndots moves the border, as in a Kubernetes pod', async (t) => {
  const list = open(t, 'search ns.svc.cluster.local svc.cluster.local\noptions edns0 ndots:5\n');
  t.same(await list.candidates('db.other'), [
    'db.other.ns.svc.cluster.local',
    'db.other.svc.cluster.local',
    'db.other',
  ]);
  t.equal((await list.candidates('a.b.c.d.e.f'))[0], 'a.b.c.d.e.f');
});

t.test('search list: the last of several lines counts, and six of its domains', async (t) => {
  const last = open(t, 'search a\ndomain b\n');
  t.same(await last.candidates('db'), ['db.b', 'db']);
  const many = open(t, 'search 1 2 3 4 5 6 7 8\n');
  t.equal((await many.candidates('db')).length, 7);
});

t.test('search list: no file, no domains', async (t) => {
  t.same(await new SearchList('/nonexistent/resolv.conf').candidates('db'), ['db']);
});

t.test('search list: a file that cannot be read is as it was', async (t) => {
  const path = write(t, 'search a.example\n');
  const list = new SearchList(path);
  t.same(await list.candidates('db'), ['db.a.example', 'db']);
  rmSync(path);
  mkdirSync(path);
  t.same(await list.candidates('db'), ['db.a.example', 'db'], 'EISDIR');
  rmdirSync(path);
  t.same(await list.candidates('db'), ['db'], 'not there');
});

function open(t: Test, text: string): SearchList {
  return new SearchList(write(t, text));
}

/** @returns its path */
function write(t: Test, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'headgate-resolv-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'resolv.conf');
  writeFileSync(path, text);
  return path;
}
