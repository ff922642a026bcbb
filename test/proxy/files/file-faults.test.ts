import {
  closeSync,
  ftruncateSync,
  openSync,
  renameSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Errno, type SyscallName } from '#src/splice/index.js';
import { fileHttp, filesTest } from '#test/support/http/files-rig.js';
import { payload, Random } from '#test/support/random.js';

const large = payload(1, 3_000_000);
const small = payload(2, 9000);

/** Faults that no client may even notice, by call. */
const hidden: readonly (readonly [SyscallName, readonly ('EINTR' | 'EAGAIN' | 'short')[]])[] = [
  ['sendfile', ['EINTR', 'EAGAIN', 'short']],
  ['send', ['EINTR', 'EAGAIN', 'short']],
  ['pread', ['EINTR']],
  ['statx', ['EINTR']],
  ['syscall', ['EINTR', 'EAGAIN']],
];

for (const [call, faults] of hidden) {
  for (const fault of faults) {
    filesTest(
      `faults: ${fault} from ${call}, at every call, is nobody's business`,
      {},
      (root) => fileHttp(root, { revalidateMs: 0 }),
      (rig, t, root) => {
        writeFileSync(join(root, 'large'), large);
        writeFileSync(join(root, 'small'), small);
        const { room } = rig;
        const lengthAt = call === 'sendfile' ? 3 : 2;
        for (let nth = 1; nth < 9; nth++) {
          let count = 0;
          room.libc.script(call, (args, real) => {
            // Only a look-up that has to stay below a directory can race with a rename.
            const isSpared = call === 'syscall' && fault === 'EAGAIN' && args[1]! < 0;
            if (isSpared || ++count !== nth) return real(...args);
            // A socket that is full promises an edge: one is made.
            if (fault !== 'EINTR' && call !== 'syscall') edge(room);
            if (fault === 'short')
              return real(...args.with(lengthAt, Math.ceil(args[lengthAt]! / 3)));
            return -Errno[fault];
          });
          t.ok(rig.ask('/small').body.equals(small), `small, call ${nth}`);
          t.ok(rig.ask('/large').body.equals(large), `large, call ${nth}`);
          const part = rig.ask('/large', ['Range: bytes=1000-2000000']);
          t.ok(part.body.equals(large.subarray(1000, 2_000_001)), `a part, call ${nth}`);
          room.libc.script(call);
        }
        t.equal(room.count('files_changed'), 0);
      },
    );
  }
}

/** Wakes all sessions, as the kernel would. */
function edge(room: { sessions(): unknown[]; clock: { defer(task: never): void } }): void {
  for (const session of room.sessions() as { onEvents(events: number): void }[]) {
    room.clock.defer({
      runTask: () => session.onEvents(0x4),
      onException: () => {},
    } as never);
  }
}

filesTest(
  'faults: a socket that takes what it likes gets every byte once',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    writeFileSync(join(root, 'large'), large);
    const random = new Random(5);
    rig.room.libc.script('sendfile', (args, real) => {
      edge(rig.room);
      const most = Math.max(1, args[3]! >> random.between(0, 4));
      return real(...args.with(3, random.between(1, most)));
    });
    rig.room.libc.script('send', (args, real) => {
      edge(rig.room);
      return real(...args.with(2, random.between(1, args[2]!)));
    });
    for (let round = 0; round < 5; round++) {
      t.ok(rig.ask('/large').body.equals(large));
      const { body } = rig.ask('/large', ['Range: bytes=0-99999, 500000-1500000, -100']);
      t.ok(body.includes(large.subarray(500_000, 1_500_001)));
    }
  },
);

filesTest(
  'faults: where the kernel does not send files, they are read and written',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    writeFileSync(join(root, 'large'), large);
    rig.room.libc.script('sendfile', () => -Errno.EINVAL);
    t.ok(rig.ask('/large').body.equals(large));
    const random = new Random(6);
    rig.room.libc.script('send', (args, real) => {
      edge(rig.room);
      return real(...args.with(2, random.between(1, args[2]!)));
    });
    t.ok(rig.ask('/large', ['Range: bytes=7-']).body.equals(large.subarray(7)));
    const { body } = rig.ask('/large', ['Range: bytes=0-9, 1000-2000000']);
    t.ok(body.includes(large.subarray(1000, 2_000_001)));
  },
);

for (const [what, change] of [
  ['truncated', (path: string) => truncateSync(path, 1_000_000)],
  ['emptied', (path: string) => truncateSync(path, 0)],
  ['written', (path: string) => overwrite(path, 2_500_000)],
  ['written where it was sent already', (path: string) => overwrite(path, 0)],
  ['appended to', (path: string) => truncateSync(path, 40_000_000)],
] as const) {
  filesTest(
    `faults: a file that is ${what} while it is sent ends the answer as an error`,
    {},
    (root) => fileHttp(root),
    (rig, t, root) => {
      const bytes = payload(3, 30_000_000);
      const path = join(root, 'large');
      writeFileSync(path, bytes);
      rig.say('/large');
      rig.room.settle();
      t.equal(rig.room.count('files_open'), 1);
      change(path);
      rig.expectReset();
      t.equal(rig.room.count('files_changed'), 1);
      t.equal(rig.room.closed('file_failed'), 1);
      rig.again().room.nowMs += 1;
      t.equal(rig.ask('/large').status, 200, 'the next one gets what it has become');
    },
  );
}

function overwrite(path: string, at: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from('changed'), 0, 7, at);
  closeSync(fd);
}

filesTest(
  'faults: a file that is replaced while it is sent is sent to its end',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    const bytes = payload(4, 30_000_000);
    writeFileSync(join(root, 'large'), bytes);
    writeFileSync(join(root, 'next'), 'next');
    rig.say('/large');
    rig.room.settle();
    renameSync(join(root, 'next'), join(root, 'large'));
    t.ok(rig.hear().body.equals(bytes));
    rig.room.pass(1100);
    t.equal(rig.ask('/large').body.toString(), 'next');
    t.equal(rig.room.count('files_changed'), 0);
  },
);

filesTest(
  'faults: a small file that changes between two looks is no answer',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    const path = join(root, 'small');
    writeFileSync(path, small);
    rig.room.libc.script('pread', (args, real) => {
      const result = real(...args);
      overwrite(path, 100);
      return result;
    });
    rig.say('/small');
    rig.expectReset();
    rig.room.libc.script('pread', (args, real) => {
      truncateSync(path, 10);
      return real(...args);
    });
    rig.room.nowMs += 1;
    rig.again().say('/small');
    rig.expectReset();
    rig.room.libc.script('pread');
    rig.room.nowMs += 1;
    t.equal(rig.again().ask('/small').body.length, 10);
    t.equal(rig.room.count('files_changed'), 2);
  },
);

filesTest(
  'faults: a file that is cut off between the look and the sending is no answer',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    const path = join(root, 'medium');
    for (const left of [0, 1, 40_000]) {
      writeFileSync(path, payload(7, 65_536));
      rig.room.nowMs += 1;
      rig.room.libc.script('sendfile', (args, real) => {
        truncateSync(path, left);
        return real(...args);
      });
      rig.again().say('/medium');
      rig.expectReset();
      rig.room.libc.script('sendfile');
      rig.room.nowMs += 1;
      t.equal(rig.again().ask('/medium').body.length, left, 'what it has become');
    }
    t.equal(rig.room.count('files_changed'), 3);
  },
);

filesTest(
  'faults: a disk that cannot be read ends the answer as an error',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    writeFileSync(join(root, 'small'), small);
    writeFileSync(join(root, 'large'), large);
    rig.room.libc.fail('pread', Errno.EIO);
    rig.say('/small');
    rig.expectReset();
    let calls = 0;
    rig.room.libc.script('sendfile', (args, real) => (++calls > 2 ? -Errno.EIO : real(...args)));
    rig.again().say('/large');
    rig.expectReset();
    rig.room.libc.script('sendfile');
    t.ok(rig.again().ask('/large').body.equals(large));
  },
);

filesTest(
  'faults: without descriptors files are given up, and then 503 is the answer',
  { a: 'a', b: 'b', c: 'c' },
  (root) => fileHttp(root),
  (rig, t) => {
    t.equal(rig.ask('/a').status, 200);
    t.equal(rig.ask('/b').status, 200);
    rig.room.libc.fail('syscall', Errno.EMFILE);
    t.equal(rig.ask('/c').status, 200, 'there was something to give up');
    rig.room.libc.script('syscall', () => -Errno.EMFILE);
    rig.room.http.files.cache.shrink();
    rig.room.http.files.cache.shrink();
    t.equal(rig.ask('/a').status, 503);
    rig.room.libc.script('syscall', (args, real) => (args[1]! < 0 ? real(...args) : -Errno.ENOSYS));
    t.equal(rig.ask('/a').status, 500);
    rig.room.libc.script('syscall');
    t.equal(rig.ask('/a').status, 200);
  },
);

filesTest(
  'faults: a client that goes away lets go of its file',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    writeFileSync(join(root, 'large'), payload(3, 30_000_000));
    rig.say('/large');
    rig.room.settle();
    rig.hangUp();
    rig.room.until(() => rig.room.sessions().length === 0);
    rig.room.http.files.configure();
    t.equal(rig.room.count('files_open'), 0);
  },
);

filesTest(
  'large: a sparse file of more than 4 GiB, near its end',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    const size = 5 * 1024 ** 3 + 11;
    const fd = openSync(join(root, 'sparse'), 'w');
    ftruncateSync(fd, size);
    writeSync(fd, Buffer.from('the end'), 0, 7, size - 7);
    closeSync(fd);
    const last = rig.ask('/sparse', ['Range: bytes=-7']);
    t.equal(last.body.toString(), 'the end');
    t.equal(last.headers['content-range'], `bytes ${size - 7}-${size - 1}/${size}`);
    const part = rig.ask('/sparse', [`Range: bytes=${size - 1_000_000}-`]);
    t.equal(part.body.length, 1_000_000);
    t.equal(part.body.toString('latin1', 999_990), '\0\0\0the end');
    t.ok(part.body.subarray(0, 999_993).every((byte) => byte === 0));
    t.equal(rig.ask('/sparse', [], 'HEAD').headers['content-length'], String(size));
    t.equal(rig.ask('/sparse', [`Range: bytes=${size}-`]).status, 416);
    const across = rig.ask('/sparse', [`Range: bytes=${2 ** 32 - 3}-${2 ** 32 + 2}`]);
    t.equal(across.body.length, 6);
  },
);

filesTest(
  'faults: for want of descriptors or memory what is open goes on being served',
  { a: 'a' },
  (root) => fileHttp(root, { revalidateMs: 0 }),
  (rig, t) => {
    t.equal(rig.ask('/a').body.toString(), 'a');
    for (const errno of [Errno.ENOMEM, Errno.EAGAIN]) {
      rig.room.libc.script('syscall', () => -errno);
      t.equal(rig.ask('/a').body.toString(), 'a');
      t.equal(rig.ask('/b').status, 503);
    }
    rig.room.libc.script('syscall');
    t.equal(rig.ask('/a').body.toString(), 'a');
    t.equal(rig.room.count('files_open'), 1);
  },
);

filesTest(
  'faults: a file that is given up while its name is looked up is not served any more',
  { a: 'a', b: 'b', 'a.gz': 'gz' },
  (root) => fileHttp(root, { revalidateMs: 0, precompressed: ['gzip'] }),
  (rig, t) => {
    for (let round = 0; round < 20; round++) {
      t.equal(rig.ask('/a').body.toString(), 'a');
      t.equal(rig.ask('/b').body.toString(), 'b');
      // Of the calls that follow one fails for want of descriptors, another one each round, and then all.
      let calls = 0;
      rig.room.libc.script('syscall', (args, real) =>
        calls++ === round % 5 || round > 15 ? -Errno.EMFILE : real(...args),
      );
      const { status, body } = rig.ask('/a');
      t.ok(status === 503 || body.toString() === 'a', `${round}: ${status}`);
      t.ok([200, 503].includes(rig.ask('/b', ['Accept-Encoding: gzip']).status));
      rig.room.libc.script('syscall');
    }
  },
);

filesTest(
  'faults: an index that may not be read is a 403, and no listing takes its place',
  { d: { 'index.html': 'index' }, e: { file: 'f' } },
  (root) => fileHttp(root, { listing: true }),
  (rig, t) => {
    let isRefused = false;
    rig.room.libc.script('syscall', (args, real) => {
      if (isRefused || args[1]! < 0) return real(...args);
      isRefused = true;
      return -Errno.EACCES;
    });
    t.equal(rig.ask('/d/').status, 403);
    t.equal(isRefused, true);
    t.equal(rig.ask('/d/').body.toString(), 'index');
    t.match(rig.ask('/e/').body.toString(), /file/, 'who has none is listed');
  },
);

filesTest(
  'faults: a file that may not be read is a 403, and what follows in try_files is not sent for it',
  { 'app.js': 'script', 'spa.html': 'page', d: { 'index.html': 'index' } },
  (root) =>
    fileHttp(root, {
      tryFiles: [['', ''], ['', '/'], ['/spa.html']],
    }),
  (rig, t) => {
    const refuseOne = () => {
      let isRefused = false;
      rig.room.libc.script('syscall', (args, real) => {
        if (isRefused || args[1]! < 0) return real(...args);
        isRefused = true;
        return -Errno.EACCES;
      });
    };
    refuseOne();
    t.equal(rig.ask('/app.js').status, 403, 'a file');
    refuseOne();
    t.equal(rig.ask('/d/').status, 403, 'an index');
    refuseOne();
    t.equal(rig.ask('/d').status, 301, 'a directory that may be searched, and not be listed');
    refuseOne();
    t.equal(rig.ask('/none').body.toString(), 'page', 'who is not there is served');
    t.equal(rig.ask('/app.js').body.toString(), 'script');
  },
);
