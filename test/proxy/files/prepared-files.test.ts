import {
  chmodSync,
  closeSync,
  openSync,
  renameSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { HttpRouteSnapshot } from '#src/proxy/http/http-snapshot.js';
import { type FilesRig, fileHttp, filesTest } from '#test/support/http/files-rig.js';
import { payload } from '#test/support/random.js';

const OLD_SEC = 1_000_000_000;
const FILES_BYTES_MAX = 8 * 1024 * 1024;

function write(path: string, content: string | Buffer): void {
  writeFileSync(path, content);
  utimesSync(path, OLD_SEC, OLD_SEC);
}

/** Other bytes in an open file, and its clock turned back. */
function overwrite(path: string, text: string): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from(text), 0, text.length, 0);
  closeSync(fd);
  utimesSync(path, OLD_SEC, OLD_SEC);
}

/** System calls that another request costs, in a turn of its own. */
function callsFor(rig: FilesRig, target: string, lines: string[] = [], method = 'GET'): string[] {
  rig.room.nowMs += 1;
  const { trace } = rig.room.libc;
  const before = trace.length;
  rig.ask(target, lines, method);
  return trace
    .slice(before)
    .map(({ name }) => name)
    .filter((name) => !/^(epoll|timerfd)/.test(name));
}

const inMemory = ['recv', 'statx', 'send'];
const read = ['recv', 'statx', 'pread', 'statx', 'send'];

/** The clock on the wall goes ahead of the filesystem's, and is looked at. */
function goAhead(rig: FilesRig, ms: number): void {
  rig.room.wallAheadMs += ms;
  rig.room.nowMs += 100;
}

/** A minute has passed for everything that was written so far: it is not young any more. */
function ripen(rig: FilesRig): void {
  goAhead(rig, 60_000);
}

filesTest(
  'prepared: what is asked for again is kept in memory, and read anew after a second',
  { 'a.txt': '', empty: '', large: '' },
  (root) => fileHttp(root, { revalidateMs: 3_600_000 }),
  (rig, t, root) => {
    const content = payload(1, 5000);
    write(join(root, 'a.txt'), content);
    write(join(root, 'empty'), '');
    write(join(root, 'large'), payload(2, 16 * 1024));
    ripen(rig);
    t.not(callsFor(rig, '/a.txt').length, read.length, 'opened');
    t.same(callsFor(rig, '/a.txt'), read, 'read to be kept');
    for (let round = 0; round < 3; round++) t.same(callsFor(rig, '/a.txt'), inMemory);
    t.ok(rig.ask('/a.txt').body.equals(content));
    rig.room.pass(1001);
    t.same(callsFor(rig, '/a.txt'), read);
    t.same(callsFor(rig, '/a.txt'), inMemory);
    const first = rig.ask('/empty');
    callsFor(rig, '/empty');
    t.same(callsFor(rig, '/empty'), inMemory);
    const second = rig.ask('/empty');
    t.same(second, first);
    t.equal(second.headers['content-length'], '0');
    callsFor(rig, '/large');
    callsFor(rig, '/large');
    t.ok(callsFor(rig, '/large').includes('sendfile'), 'no room for a head before it');
    t.equal(rig.room.http.files.cache.prepared.bytes, 2 * 16 * 1024 + 1024);
    rig.room.http.files.configure();
    t.equal(rig.room.http.files.cache.prepared.bytes, 0);
  },
);

filesTest(
  'prepared: what was just written, or just had something done to it, is not kept',
  { 'a.txt': '' },
  (root) => fileHttp(root, { revalidateMs: 3_600_000 }),
  (rig, t, root) => {
    const path = join(root, 'a.txt');
    write(path, 'old by its time of writing alone');
    for (let round = 0; round < 4; round++) {
      t.ok(callsFor(rig, '/a.txt').includes('pread'));
    }
    goAhead(rig, 1500);
    t.same(callsFor(rig, '/a.txt'), read);
    t.same(callsFor(rig, '/a.txt'), read);
    goAhead(rig, 3000);
    t.same(callsFor(rig, '/a.txt'), read);
    t.same(callsFor(rig, '/a.txt'), inMemory);
    writeFileSync(path, 'written now');
    for (let round = 0; round < 4; round++) {
      t.ok(callsFor(rig, '/a.txt').includes('pread'), 'its time is ahead of nothing');
    }
    t.equal(rig.ask('/a.txt').body.toString(), 'written now');
  },
);

filesTest(
  'prepared: whatever is done to a file, the next turn sends what is in it',
  { 'a.txt': '', 'b.txt': '' },
  (root) => fileHttp(root, { revalidateMs: 3_600_000 }),
  (rig, t, root) => {
    const path = join(root, 'a.txt');
    write(path, 'one of three');
    const keep = () => {
      ripen(rig);
      for (let round = 0; round < 3; round++) callsFor(rig, '/a.txt');
      t.same(callsFor(rig, '/a.txt'), inMemory);
    };
    keep();
    overwrite(path, 'ONE');
    rig.room.nowMs += 1;
    t.equal(
      rig.ask('/a.txt').body.toString(),
      'ONE of three',
      'by the time that nobody turns back',
    );
    keep();
    t.equal(rig.ask('/a.txt').body.toString(), 'ONE of three');
    chmodSync(path, 0o600);
    t.ok(callsFor(rig, '/a.txt').includes('pread'), 'also for what leaves it as it was');
    keep();
    write(path, 'longer than one of three');
    rig.room.nowMs += 1;
    t.equal(rig.ask('/a.txt').body.toString(), 'longer than one of three');
    keep();
    write(path, '');
    rig.room.nowMs += 1;
    t.equal(rig.ask('/a.txt').body.toString(), '');
    t.equal(rig.room.count('files_changed'), 0);
  },
);

filesTest(
  'prepared: what no time tells of, as with a mapping, is sent for a second at most',
  { 'a.txt': '' },
  (root) => fileHttp(root, { revalidateMs: 3_600_000 }),
  (rig, t, root) => {
    const path = join(root, 'a.txt');
    write(path, 'one');
    ripen(rig);
    for (let round = 0; round < 3; round++) callsFor(rig, '/a.txt');
    rig.room.libc.script('statx', () => 0);
    overwrite(path, 'two');
    rig.room.pass(900);
    t.equal(rig.ask('/a.txt').body.toString(), 'one');
    rig.room.pass(200);
    t.equal(rig.ask('/a.txt').body.toString(), 'two');
    rig.room.libc.script('statx');
  },
);

filesTest(
  'prepared: a file that another one replaces is found when its time is up',
  { 'a.txt': '', 'b.txt': '' },
  (root) => fileHttp(root, { revalidateMs: 1000 }),
  (rig, t, root) => {
    write(join(root, 'a.txt'), 'old');
    write(join(root, 'b.txt'), 'new');
    ripen(rig);
    for (let round = 0; round < 3; round++) callsFor(rig, '/a.txt');
    renameSync(join(root, 'b.txt'), join(root, 'a.txt'));
    rig.room.pass(500);
    t.equal(rig.ask('/a.txt').body.toString(), 'old');
    rig.room.pass(600);
    t.equal(rig.ask('/a.txt').body.toString(), 'new');
    t.equal(rig.room.http.files.cache.prepared.bytes, 0);
  },
);

filesTest(
  'prepared: a file that changes while it is read is not kept, and what was read is not sent',
  { 'a.txt': '' },
  (root) => fileHttp(root, { revalidateMs: 3_600_000 }),
  (rig, t, root) => {
    const path = join(root, 'a.txt');
    write(path, 'one');
    ripen(rig);
    callsFor(rig, '/a.txt');
    let reads = 0;
    rig.room.libc.script('pread', (args, real) => {
      const result = real(...args);
      if (++reads === 1) overwrite(path, 'two');
      return result;
    });
    t.equal(rig.ask('/a.txt').body.toString(), 'two', 'it was read once more');
    t.equal(reads, 2);
    rig.room.libc.script('pread');
    goAhead(rig, -60_000);
    t.ok(callsFor(rig, '/a.txt').includes('pread'));
    t.equal(rig.room.http.files.cache.prepared.bytes, 0);
  },
);

const added: Partial<HttpRouteSnapshot> = {
  responseHeaders: {
    set: [{ name: 'X-Route', value: ['one'] }],
    add: [],
    remove: ['accept-ranges'],
  },
};

filesTest(
  'prepared: each client gets the head that it would get otherwise',
  { 'a.txt': '', 'oops.html': '' },
  (root) => fileHttp(root, { revalidateMs: 3_600_000, notFound: '/oops.html' }, added),
  (rig, t, root) => {
    write(join(root, 'a.txt'), '0123456789');
    write(join(root, 'oops.html'), 'oops');
    ripen(rig);
    const { headers } = rig.ask('/a.txt');
    const { date, etag, ...rest } = headers;
    t.same(rest['x-route'], 'one');
    for (let round = 0; round < 3; round++) t.same(rig.ask('/a.txt').headers, headers);
    t.same(callsFor(rig, '/a.txt'), inMemory);
    t.match(rig.ask('/none'), { status: 404, headers: { 'content-length': '4' } });
    for (let round = 0; round < 3; round++) {
      const { status, body } = rig.ask('/none');
      t.equal(status, 404);
      t.equal(body.toString(), 'oops');
      t.equal(rig.ask('/oops.html').status, 200);
      t.equal(rig.ask('/oops.html').body.toString(), 'oops');
    }
    t.notOk(callsFor(rig, '/none').includes('pread'));
    t.same(rig.ask('/a.txt', [], 'HEAD').headers, headers);
    rig.expectSilence();
    t.equal(rig.ask('/a.txt', ['Range: bytes=2-4']).body.toString(), '234');
    t.equal(rig.ask('/a.txt', [`If-None-Match: ${etag}`]).status, 304);
    t.equal(rig.ask('/a.txt', ['If-Match: "no"']).status, 412);
    t.same(callsFor(rig, '/a.txt'), inMemory);
    goAhead(rig, 5000);
    const later = rig.ask('/a.txt').headers;
    t.same({ ...later, date }, headers);
    const aheadMs = Date.parse(later.date!) - Date.parse(date!);
    t.ok(aheadMs >= 5000 && aheadMs <= 10_000, `Date goes on: ${aheadMs}`);
    const last = rig.ask('/a.txt', ['Connection: close']);
    t.same(last.headers, { ...later, connection: 'close', date: last.headers.date });
    t.equal(last.body.toString(), '0123456789');
    const other = rig.again().ask('/a.txt');
    t.same({ ...other.headers, date }, headers, 'and nobody else is told of it');
  },
);

filesTest(
  'prepared: a client that takes a byte at a time gets what it was sent first',
  { 'a.txt': '' },
  (root) => fileHttp(root, { revalidateMs: 3_600_000 }),
  (rig, t, root) => {
    const path = join(root, 'a.txt');
    const content = payload(3, 9000);
    write(path, content);
    ripen(rig);
    for (let round = 0; round < 3; round++) callsFor(rig, '/a.txt');
    let sends = 0;
    rig.room.libc.script('send', (args, real) => {
      rig.room.clock.defer({
        runTask: () => {
          for (const session of rig.room.sessions()) {
            (session as unknown as { onEvents(events: number): void }).onEvents(0x4);
          }
        },
        onException: () => {},
      });
      // After the first piece its file is another one, and somebody else has asked for that.
      if (++sends === 2) overwrite(path, 'changed');
      return real(...args.with(2, Math.min(args[2]!, 700)));
    });
    t.ok(rig.ask('/a.txt').body.equals(content));
    t.ok(sends > 12);
    rig.room.nowMs += 1;
    t.equal(rig.ask('/a.txt').body.toString('latin1', 0, 7), 'changed');
    rig.room.libc.script('send');
    rig.expectSilence();
  },
);

filesTest(
  'prepared: no more is kept than may, and that goes which nobody asks for',
  {},
  (root) => fileHttp(root, { revalidateMs: 3_600_000 }),
  (rig, t, root) => {
    const { cache } = rig.room.http.files;
    cache.most = 1000;
    for (let index = 0; index < 600; index++) write(join(root, `f${index}`), `file ${index}`);
    ripen(rig);
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 600; index++) {
        t.equal(rig.ask(`/f${index}`).body.toString(), `file ${index}`);
        if (index % 50 === 0) t.equal(rig.ask('/f0').body.toString(), 'file 0');
      }
    }
    t.equal(cache.prepared.bytes, FILES_BYTES_MAX);
    t.same(callsFor(rig, '/f0'), inMemory, 'who is asked for all the time stays');
    cache.shrink();
    t.ok(cache.prepared.bytes < FILES_BYTES_MAX, 'with the file its content goes');
  },
);
