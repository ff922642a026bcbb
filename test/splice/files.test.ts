import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  adviseFile,
  copyFile,
  createKernel,
  Errno,
  errnoName,
  File,
  FileStamp,
  fileStatus,
  NativeMemory,
  openBeneath,
  openDirectory,
  readDirectory,
} from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';

const kernel = createKernel();
const EXDEV = 18;

function sha(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A directory with a file inside, a secret beside it, and a descriptor of the directory. */
function house(): { root: string; fd: number } {
  const top = t.testdir({ root: { inside: 'inside', sub: { deep: 'deep' } }, secret: 'secret' });
  const root = join(top, 'root');
  return { root, fd: openSync(root, File.O_PATH) };
}

socketTest('open beneath: what is below the directory is opened', async (t) => {
  const { fd } = house();
  for (const path of ['inside', 'sub/deep', './sub/../inside', 'sub/./deep']) {
    const opened = openBeneath(kernel, fd, path, File.O_RDONLY);
    t.ok(opened >= 0, path);
    closeSync(opened);
  }
  closeSync(fd);
});

socketTest('open beneath: nothing leads out, by whatever name', async (t) => {
  const { root, fd } = house();
  symlinkSync('../secret', join(root, 'out'));
  symlinkSync('/etc/passwd', join(root, 'absolute'));
  symlinkSync('..', join(root, 'up'));
  symlinkSync('/proc/self/root/etc/passwd', join(root, 'magic'));
  symlinkSync('inside', join(root, 'within'));
  for (const path of [
    '../secret',
    '/etc/passwd',
    'sub/../../secret',
    'out',
    'absolute',
    'magic',
    'up/secret',
  ]) {
    t.equal(errnoName(-openBeneath(kernel, fd, path, File.O_RDONLY)), 'EXDEV', path);
  }
  t.equal(openBeneath(kernel, fd, 'inside\0/../../secret', File.O_RDONLY), -Errno.EINVAL);
  t.equal(errnoName(-openBeneath(kernel, fd, 'a'.repeat(5000), File.O_RDONLY)), 'ENAMETOOLONG');
  t.equal(openBeneath(kernel, fd, 'none', File.O_RDONLY), -Errno.ENOENT);
  const within = openBeneath(kernel, fd, 'within', File.O_RDONLY);
  t.ok(within >= 0, 'a link that stays inside is followed');
  closeSync(within);
  closeSync(fd);
});

socketTest('open beneath: a directory that moves away takes nobody out', async (t) => {
  const { root, fd } = house();
  const sub = openBeneath(kernel, fd, 'sub', File.O_PATH);
  mkdirSync(join(root, '..', 'elsewhere'));
  renameSync(join(root, 'sub'), join(root, '..', 'elsewhere', 'sub'));
  t.equal(openBeneath(kernel, sub, '../secret', File.O_RDONLY), -EXDEV);
  t.equal(openBeneath(kernel, fd, 'sub/deep', File.O_RDONLY), -Errno.ENOENT);
  closeSync(sub);
  closeSync(fd);
});

socketTest('file status: says what Node’s stat says', async (t) => {
  const { root, fd } = house();
  const file = openBeneath(kernel, fd, 'inside', File.O_RDONLY);
  truncateSync(join(root, 'inside'), 5 * 1024 ** 3);
  const status = fileStatus(kernel, file);
  if (typeof status === 'number') throw new Error(errnoName(-status));
  const known = fstatSync(file, { bigint: true });
  t.equal(status.size, 5 * 1024 ** 3, 'sizes above 4 GiB, too');
  t.equal(status.inode, known.ino);
  t.equal(BigInt(status.modifiedSec), known.mtimeNs / 1_000_000_000n);
  t.equal(BigInt(status.modifiedNsec), known.mtimeNs % 1_000_000_000n);
  t.ok(status.isRegular && !status.isDirectory);
  const directory = fileStatus(kernel, fd);
  t.ok(typeof directory === 'object' && directory.isDirectory && !directory.isRegular);
  t.equal(fileStatus(kernel, -1), -Errno.EBADF);
  closeSync(file);
  closeSync(fd);
});

socketTest('file advice: is taken for files, refused for anything else', async (t) => {
  const { fd } = house();
  const file = openBeneath(kernel, fd, 'inside', File.O_RDONLY);
  for (const advice of ['normal', 'random', 'sequential', 'willneed', 'dontneed'] as const) {
    t.equal(adviseFile(kernel, file, advice), 0, advice);
  }
  t.ok(adviseFile(kernel, -1, 'normal') < 0);
  closeSync(file);
  closeSync(fd);
});

/** Refuses the first ways, as another filesystem or an older kernel would. */
const refusals = {
  nothing: [],
  copy_file_range: ['copy_file_range'],
  'copy_file_range and sendfile': ['copy_file_range', 'sendfile'],
} as const;
const paths = { 0: 'copy_file_range', 1: 'sendfile', 2: 'copy' } as const;

for (const [refused, calls] of Object.entries(refusals)) {
  for (const errno of ['EXDEV', 'EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'EPERM'] as const) {
    socketTest(`file copy: exact with ${refused} refused (${errno})`, async (t) => {
      const directory = t.testdir({});
      const bytes = randomBytes(1_000_003);
      writeFileSync(join(directory, 'from'), bytes);
      const from = openSync(join(directory, 'from'), 'r');
      const to = openSync(join(directory, 'to'), 'w');
      const libc = new ScriptedLibc();
      for (const call of calls)
        libc.script(call, () => -(errno === 'EXDEV' ? EXDEV : Errno[errno]));
      const copied = copyFile(createKernel(libc), from, to);
      t.same(copied, { bytes: bytes.length, path: paths[calls.length as 0 | 1 | 2] });
      t.equal(sha(readFileSync(join(directory, 'to'))), sha(bytes));
      closeSync(from);
      closeSync(to);
    });
  }
}

socketTest('file copy: a part, from one offset to another, past 4 GiB', async (t) => {
  const directory = t.testdir({});
  const bytes = randomBytes(300_000);
  const from = openSync(join(directory, 'from'), 'w+');
  const to = openSync(join(directory, 'to'), 'w+');
  const fromOffset = 4 * 1024 ** 3 + 7;
  writeAt(from, bytes, fromOffset);
  for (const refused of [[], ['copy_file_range'], ['copy_file_range', 'sendfile']] as const) {
    const libc = new ScriptedLibc();
    for (const call of refused) libc.script(call, () => -EXDEV);
    const toOffset = 5 * 1024 ** 3 + 100 * refused.length;
    const copied = copyFile(createKernel(libc), from, to, {
      fromOffset,
      toOffset,
      length: 200_000,
    });
    t.equal(typeof copied === 'object' && copied.bytes, 200_000);
    t.equal(sha(readAt(to, 200_000, toOffset)), sha(bytes.subarray(0, 200_000)), refused.join());
  }
  t.equal(statSync(join(directory, 'to')).size, 5 * 1024 ** 3 + 200_200);
  closeSync(from);
  closeSync(to);
});

socketTest('file copy: an error that is none of the path’s ends it', async (t) => {
  const libc = new ScriptedLibc();
  const ENOSPC = 28;
  libc.script('copy_file_range', () => -ENOSPC);
  t.equal(copyFile(createKernel(libc), 0, 1), -ENOSPC);
  t.equal(libc.count('sendfile'), 0);
});

function writeAt(fd: number, bytes: Buffer, offset: number): void {
  const { address } = NativeMemory.copyOf(bytes);
  if (kernel.pwrite(fd, address, bytes.length, offset) !== bytes.length) throw new Error('short');
}

function readAt(fd: number, length: number, offset: number): Buffer {
  const memory = new NativeMemory(length);
  if (kernel.pread(fd, memory.address, length, offset) !== length) throw new Error('short');
  return memory.bytes;
}

socketTest('open directory: follows links, and is a beginning for names below', async (t) => {
  const { root, fd } = house();
  symlinkSync('root', join(root, '..', 'current'));
  const directory = openDirectory(kernel, join(root, '..', 'current'));
  t.ok(directory >= 0);
  const bytes = openBeneath(kernel, directory, Buffer.from('sub/deep'), File.O_RDONLY);
  t.ok(bytes >= 0, 'a path may be bytes');
  t.equal(errnoName(-openDirectory(kernel, join(root, 'inside'))), 'ENOTDIR');
  t.equal(openDirectory(kernel, join(root, 'none')), -Errno.ENOENT);
  for (const one of [bytes, directory, fd]) closeSync(one);
});

socketTest('file stamp: tells a file that was written, truncated or replaced', async (t) => {
  const { root, fd } = house();
  const path = join(root, 'inside');
  const file = openBeneath(kernel, fd, 'inside', File.O_RDONLY);
  const stamp = new FileStamp();
  t.match(stamp.take(kernel, file), { isRegular: true, size: 6 });
  t.ok(stamp.isOf(kernel, file));
  const before = statSync(path);
  truncateSync(path, 3);
  utimesSync(path, before.atime, before.mtime);
  t.notOk(stamp.isOf(kernel, file), 'another length');
  const shorter = new FileStamp();
  shorter.take(kernel, file);
  t.notOk(stamp.equals(shorter));
  t.ok(stamp.isSameFile(shorter));
  utimesSync(path, 1, 1.5);
  t.notOk(shorter.isOf(kernel, file), 'another time');
  shorter.take(kernel, file);
  writeFileSync(`${path}.new`, 'new');
  utimesSync(`${path}.new`, 1, 1.5);
  renameSync(`${path}.new`, path);
  t.ok(shorter.isOf(kernel, file), 'who is open stays what it is, whatever has its name');
  const successor = openBeneath(kernel, fd, 'inside', File.O_RDONLY);
  t.notOk(shorter.isOf(kernel, successor), 'another file of the same length and time');
  t.notOk(shorter.isOf(kernel, -1));
  t.equal(stamp.take(kernel, -1), -Errno.EBADF);
  for (const one of [file, successor, fd]) closeSync(one);
});

socketTest('directory entries: all of them, and no link is followed', async (t) => {
  const { root, fd } = house();
  symlinkSync('/etc/passwd', join(root, 'link'));
  for (let index = 0; index < 2000; index++) writeFileSync(join(root, `file-${index}`), 'x');
  const open = (): number => openBeneath(kernel, fd, '.', File.O_RDONLY | File.O_DIRECTORY);
  const directory = open();
  const entries = readDirectory(kernel, directory, 10_000);
  if (typeof entries === 'number') throw new Error(errnoName(-entries));
  const byName = new Map(entries.map((one) => [one.name.toString(), one]));
  t.equal(byName.size, 2003);
  t.match(byName.get('inside'), { isRegular: true, isDirectory: false, isLink: false, size: 6 });
  t.match(byName.get('sub'), { isRegular: false, isDirectory: true, isLink: false });
  t.match(byName.get('link'), { isRegular: false, isDirectory: false, isLink: true });
  t.equal(
    byName.get('inside')!.modifiedSec,
    Math.floor(statSync(join(root, 'inside')).mtimeMs / 1000),
  );
  closeSync(directory);
  const again = open();
  t.equal((readDirectory(kernel, again, 10) as unknown[]).length, 10);
  closeSync(again);
  const file = openBeneath(kernel, fd, 'inside', File.O_RDONLY);
  t.equal(errnoName(-(readDirectory(kernel, file, 10) as number)), 'ENOTDIR');
  closeSync(file);
  closeSync(fd);
});
