import t from 'tap';
import {
  createKernel,
  Errno,
  isSpliceRefusal,
  NativeMemory,
  openPipe,
  type Pipe,
  Splice,
} from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';

const scratch = new NativeMemory(8);

function opened(libc: ScriptedLibc, capacityBytes = 65536): Pipe {
  const pipe = openPipe(createKernel(libc), capacityBytes, scratch);
  if (typeof pipe === 'number') throw new Error(`no pipe: ${pipe}`);
  return pipe;
}

socketTest('pipe: has the size that was asked for, empty', async (t) => {
  const pipe = opened(new ScriptedLibc(), 256 * 1024);
  t.equal(pipe.capacityBytes, 256 * 1024);
  t.equal(pipe.bytes, 0);
  t.not(pipe.readEnd, pipe.writeEnd);
  pipe.close();
});

socketTest('pipe: is non-blocking at both ends', async (t) => {
  const kernel = createKernel();
  const pipe = opened(new ScriptedLibc(), 4096);
  const memory = new NativeMemory(4096);
  t.equal(kernel.read(pipe.readEnd, memory.address, 1), -Errno.EAGAIN);
  t.equal(kernel.write(pipe.writeEnd, memory.address, 4096), 4096);
  t.equal(kernel.write(pipe.writeEnd, memory.address, 4096), -Errno.EAGAIN);
  pipe.close();
});

socketTest('pipe: goes by the size the kernel says, not by what was asked for', async (t) => {
  const pipe = opened(new ScriptedLibc(), 70000);
  t.equal(pipe.capacityBytes, 128 * 1024, 'rounded up to a power of two of pages');
  pipe.close();
});

socketTest('pipe: a refused F_SETPIPE_SZ leaves the size the pipe was born with', async (t) => {
  const libc = new ScriptedLibc();
  libc.fail('fcntl', Errno.EPERM);
  const pipe = opened(libc, 1024 * 1024);
  t.equal(pipe.capacityBytes, 65536);
  pipe.close();
});

socketTest('pipe: a size the kernel will not tell gives the descriptors back', async (t) => {
  const libc = new ScriptedLibc();
  libc.fail('fcntl', Errno.EPERM, Errno.EBADF);
  t.equal(openPipe(createKernel(libc), 65536, scratch), -Errno.EBADF);
});

socketTest('pipe: none to be had is a value, not an exception', async (t) => {
  for (const errno of [Errno.EMFILE, Errno.ENFILE]) {
    const libc = new ScriptedLibc();
    libc.fail('pipe2', errno);
    t.equal(openPipe(createKernel(libc), 65536, scratch), -errno);
    t.equal(libc.count('fcntl'), 0);
  }
});

t.test('pipe: asks for a size at the write end, and reads back the answer', async (t) => {
  const libc = new ScriptedLibc();
  const pipe = opened(libc, 8192);
  const commands = libc.trace.filter(({ name }) => name === 'fcntl').map(({ args }) => args);
  t.same(commands, [
    [pipe.writeEnd, Splice.F_SETPIPE_SZ, 8192],
    [pipe.writeEnd, Splice.F_GETPIPE_SZ, 0],
  ]);
  pipe.close();
});

t.test('pipe: four answers say “not with splice”, others do not', async (t) => {
  const refusals = [Errno.EINVAL, Errno.ENOSYS, Errno.EOPNOTSUPP, Errno.EPERM];
  for (const errno of Object.values(Errno)) {
    t.equal(isSpliceRefusal(errno), refusals.includes(errno as never), `${errno}`);
  }
  t.equal(isSpliceRefusal(0), false);
});
