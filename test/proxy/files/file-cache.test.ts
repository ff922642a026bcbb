import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { SyscallNumber } from '#src/splice/constants.js';
import { type FilesRig, fileHttp, filesTest } from '#test/support/http/files-rig.js';
import { descriptors } from '#test/support/machine/descriptors.js';

const OLD_SEC = 1_000_000_000;

function write(path: string, text: string): void {
  writeFileSync(path, text);
  utimesSync(path, OLD_SEC, OLD_SEC);
}

/** System calls that look for files by name. */
function opens(rig: FilesRig): number {
  return rig.room.libc.trace.filter(
    ({ name, args }) => name === 'syscall' && args[0] === SyscallNumber.openat2,
  ).length;
}

filesTest(
  'cache: a file stays open, and one that is small costs one read and one send',
  { 'a.txt': '' },
  (root) => fileHttp(root),
  (rig, t, root) => {
    write(join(root, 'a.txt'), 'x'.repeat(1000));
    rig.ask('/a.txt');
    rig.room.nowMs += 1;
    const { trace } = rig.room.libc;
    const before = trace.length;
    rig.ask('/a.txt');
    const calls = trace
      .slice(before)
      .map(({ name }) => name)
      .filter((name) => !name.startsWith('epoll') && !name.startsWith('timerfd'));
    t.same(calls, ['recv', 'statx', 'pread', 'statx', 'send']);
    t.equal(rig.room.count('files_cache_hits'), 1);
    t.equal(rig.room.count('files_cache_misses'), 1);
    t.equal(rig.room.count('files_open'), 1);
  },
);

filesTest(
  'cache: an answer that goes out in one go costs one look for all of a turn, and a long one more',
  { medium: '', long: '' },
  (root) => fileHttp(root),
  (rig, t, root) => {
    write(join(root, 'medium'), 'x'.repeat(65_536));
    write(join(root, 'long'), 'x'.repeat(20_000_000));
    const callsFor = (target: string): string[] => {
      const { trace } = rig.room.libc;
      const before = trace.length;
      rig.ask(target);
      return trace.slice(before).map(({ name }) => name);
    };
    callsFor('/medium');
    rig.room.nowMs += 1;
    const asked = callsFor('/medium').filter((name) => !/^(epoll|timerfd)/.test(name));
    t.same(asked, ['recv', 'statx', 'send', 'sendfile']);
    t.notOk(callsFor('/medium').includes('statx'), 'the same turn, by its clock');
    callsFor('/long');
    rig.room.nowMs += 1;
    const long = callsFor('/long');
    t.equal(long.filter((name) => /^(statx|sendfile)$/.test(name)).at(-1), 'statx', 'last of all');
  },
);

filesTest(
  'cache: a file that another one replaces is found when its time is up',
  { 'a.txt': '', 'b.txt': '' },
  (root) => fileHttp(root, { revalidateMs: 1000 }),
  (rig, t, root) => {
    write(join(root, 'a.txt'), 'old');
    write(join(root, 'b.txt'), 'new');
    t.equal(rig.ask('/a.txt').body.toString(), 'old');
    renameSync(join(root, 'b.txt'), join(root, 'a.txt'));
    rig.room.pass(900);
    t.equal(rig.ask('/a.txt').body.toString(), 'old');
    rig.room.pass(200);
    t.equal(rig.ask('/a.txt').body.toString(), 'new');
    t.equal(rig.room.count('files_open'), 1);
    const before = opens(rig);
    rig.room.pass(1100);
    t.equal(rig.ask('/a.txt').body.toString(), 'new');
    t.equal(rig.ask('/a.txt').body.toString(), 'new');
    t.equal(opens(rig) - before, 2, 'the root and the file, once');
    unlinkSync(join(root, 'a.txt'));
    rig.room.pass(1100);
    t.equal(rig.ask('/a.txt').status, 404);
    t.equal(rig.room.count('files_open'), 0);
  },
);

filesTest(
  'cache: what is written into an open file is noticed at once',
  { 'a.txt': '' },
  (root) => fileHttp(root, { revalidateMs: 3_600_000 }),
  (rig, t, root) => {
    const path = join(root, 'a.txt');
    write(path, 'one');
    const { etag } = rig.ask('/a.txt').headers;
    for (const [change, body] of [
      [() => appendFileSync(path, ' two'), 'one two'],
      [() => truncateSync(path, 3), 'one'],
      [() => write(path, 'longer than before'), 'longer than before'],
      [() => truncateSync(path, 0), ''],
    ] as const) {
      change();
      rig.room.nowMs += 1;
      const reply = rig.ask('/a.txt');
      t.equal(reply.body.toString(), body);
      t.not(reply.headers.etag, etag);
      t.equal(Number(reply.headers['content-length']), body.length);
    }
    t.equal(rig.room.count('files_changed'), 0);
    t.equal(rig.room.count('files_open'), 1);
  },
);

filesTest(
  'cache: a path that is known leads to what it led to, and to nothing by another spelling',
  {
    'b c.txt': 'space',
    'b%20c.txt': 'percent',
    '.oops.html': 'oops',
    'index.html': 'home',
    'a.txt': 'a',
  },
  (root) => fileHttp(root, { notFound: '/.oops.html', revalidateMs: 3_600_000 }),
  (rig, t, root) => {
    const { room } = rig;
    for (let round = 0; round < 3; round++) {
      t.equal(rig.ask('/b%2520c.txt').body.toString(), 'percent');
      t.equal(rig.ask('/b%20c.txt').body.toString(), 'space');
      t.match(rig.ask('/none'), { status: 404, body: Buffer.from('oops') });
      t.equal(rig.ask('/.oops.html').status, 404, 'that is known, and has no name for clients');
      t.equal(rig.ask('/').body.toString(), 'home');
      t.equal(rig.ask('/index.html').body.toString(), 'home');
      t.equal(rig.ask('/a.txt').body.toString(), 'a');
      t.equal(rig.ask('/./a.txt').body.toString(), 'a');
      t.equal(rig.ask('/a.txt/').status, 404);
    }
    const before = opens(rig);
    room.nowMs += 1;
    const misses = room.count('files_cache_misses');
    t.equal(rig.ask('/a.txt').body.toString(), 'a');
    t.equal(opens(rig), before);
    t.equal(room.count('files_cache_misses'), misses);
    appendFileSync(join(root, 'a.txt'), 'b');
    unlinkSync(join(root, 'a.txt'));
    room.nowMs += 1;
    t.equal(rig.ask('/a.txt').status, 404, 'changed, and not to be found again');
    mkdirSync(join(root, 'a.txt'));
    t.equal(rig.ask('/a.txt').status, 301);
  },
);

filesTest(
  'cache: a file that comes to be where is looked first is found at once',
  { 'a.txt': 'second', app: {} },
  (root) =>
    fileHttp(root, {
      tryFiles: [
        ['/app', ''],
        ['', ''],
      ],
    }),
  (rig, t, root) => {
    for (let round = 0; round < 3; round++) {
      t.equal(rig.ask('/a.txt').body.toString(), 'second');
    }
    write(join(root, 'app/a.txt'), 'first');
    t.equal(rig.ask('/a.txt').body.toString(), 'first');
  },
);

filesTest(
  'cache: encoded files come and go',
  { 'a.js': '' },
  (root) => fileHttp(root, { precompressed: ['br', 'gzip'] }),
  (rig, t, root) => {
    write(join(root, 'a.js'), 'plain');
    const ask = () => rig.ask('/a.js', ['Accept-Encoding: br, gzip']);
    t.equal(ask().body.toString(), 'plain');
    write(join(root, 'a.js.gz'), 'gzipped');
    rig.room.pass(1100);
    t.equal(ask().body.toString(), 'gzipped');
    write(join(root, 'a.js.br'), 'brotli');
    rig.room.pass(1100);
    t.equal(ask().body.toString(), 'brotli');
    t.equal(rig.room.count('files_open'), 3);
    unlinkSync(join(root, 'a.js.br'));
    rig.room.pass(1100);
    t.equal(ask().body.toString(), 'gzipped');
    t.equal(rig.room.count('files_open'), 2);
    write(join(root, 'a.js.gz'), 'again');
    rig.room.nowMs += 1;
    t.equal(ask().body.toString(), 'again', 'written into');
  },
);

filesTest(
  'cache: no more files stay open than may, and those go that nobody has asked for',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    for (let index = 0; index < 300; index++) write(join(root, `f${index}`), String(index));
    const quiet = descriptors().file ?? 0;
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 300; index++) {
        t.equal(rig.ask(`/f${index}`).body.toString(), String(index));
        rig.ask('/f7');
        if (rig.room.count('files_open') > 100) t.fail('too many');
      }
    }
    t.equal(rig.room.count('files_open'), 100);
    t.equal((descriptors().file ?? 0) - quiet, 101, 'and the root');
    t.ok(rig.room.count('files_cache_hits') >= 599, 'who is asked for all the time stays');
  },
);

filesTest(
  'cache: none may be kept, and every file is opened and closed',
  { 'a.txt': 'a', 'a.txt.gz': 'gz' },
  (root) => fileHttp(root, { precompressed: ['gzip'] }),
  (rig, t) => {
    rig.room.http.files.cache.most = 0;
    for (let round = 0; round < 5; round++) {
      t.equal(rig.ask('/a.txt').body.toString(), 'a');
      t.equal(rig.ask('/a.txt', ['Accept-Encoding: gzip']).body.toString(), 'gz');
      t.equal(rig.ask('/a.txt', [], 'HEAD').status, 200);
      t.equal(rig.ask('/a.txt', ['If-None-Match: *']).status, 304);
      t.equal(rig.ask('/a.txt', ['If-Match: "x"']).status, 412);
      t.equal(rig.room.count('files_open'), 0);
    }
  },
);

filesTest(
  'cache: another directory takes the place of the root',
  { one: { 'a.txt': 'one' }, two: { 'a.txt': 'two', 'b.txt': 'two' } },
  (root) => fileHttp(join(root, 'current')),
  (rig, t, root) => {
    t.equal(rig.ask('/a.txt').status, 404, 'there is none yet');
    symlinkSync('one', join(root, 'current'));
    rig.room.pass(1100);
    t.equal(rig.ask('/a.txt').body.toString(), 'one');
    symlinkSync('two', join(root, 'next'));
    renameSync(join(root, 'next'), join(root, 'current'));
    t.equal(rig.ask('/a.txt').body.toString(), 'one');
    rig.room.pass(1100);
    t.equal(rig.ask('/a.txt').body.toString(), 'two');
    t.equal(rig.ask('/b.txt').body.toString(), 'two');
    rmSync(join(root, 'current'));
    rig.room.pass(1100);
    t.equal(rig.ask('/a.txt').status, 404);
    mkdirSync(join(root, 'current'));
    write(join(root, 'current/a.txt'), 'three');
    rig.room.pass(1100);
    t.equal(rig.ask('/a.txt').body.toString(), 'three');
  },
);

filesTest(
  'cache: another configuration closes what nobody is being sent',
  { 'a.txt': 'a' },
  (root) => fileHttp(root),
  (rig, t, root) => {
    writeFileSync(join(root, 'b.bin'), Buffer.alloc(20_000_000, 'b'));
    const quiet = descriptors().file ?? 0;
    t.equal(rig.ask('/a.txt').status, 200);
    rig.say('/b.bin');
    rig.room.settle();
    t.equal(rig.room.count('files_open'), 2);
    rig.room.http.files.configure();
    t.equal(rig.room.count('files_open'), 1, 'the one under way');
    t.ok(rig.hear().body.equals(Buffer.alloc(20_000_000, 'b')));
    t.equal(rig.room.count('files_open'), 0);
    t.equal(descriptors().file ?? 0, quiet);
    t.equal(rig.ask('/a.txt').body.toString(), 'a', 'and everything is found again');
  },
);

filesTest(
  'cache: the kernel is told once that a large file is read from front to back',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    writeFileSync(join(root, 'large'), Buffer.alloc(2_000_000));
    write(join(root, 'small'), 'small');
    for (let round = 0; round < 3; round++) {
      t.equal(rig.ask('/large').body.length, 2_000_000);
      t.equal(rig.ask('/small').body.length, 5);
      t.equal(rig.ask('/large', ['Range: bytes=0-9']).body.length, 10);
    }
    const { trace } = rig.room.libc;
    const { fadvise64 } = SyscallNumber;
    t.equal(
      trace.filter(({ name, args }) => name === 'syscall' && args[0] === fadvise64).length,
      1,
    );
  },
);

filesTest(
  'cache: a listing too long for one piece comes whole',
  {},
  (root) => fileHttp(root, { listing: true }),
  (rig, t, root) => {
    for (let index = 0; index < 500; index++) write(join(root, `${'n'.repeat(200)}${index}`), 'x');
    const text = rig.ask('/').body.toString();
    t.equal([...text.matchAll(/<a href="\.\/n/g)].length, 500);
    t.match(text, /<\/html>\n$/);
    rig.expectSilence();
  },
);
