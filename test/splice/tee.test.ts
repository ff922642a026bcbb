import t from 'tap';
import {
  createKernel,
  Errno,
  NativeMemory,
  Outcome,
  openPipe,
  type Pipe,
  teePipe,
} from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';

const kernel = createKernel();
const scratch = new NativeMemory(8);

function opened(capacityBytes = 65536): Pipe {
  const pipe = openPipe(kernel, capacityBytes, scratch);
  if (typeof pipe === 'number') throw new Error(`no pipe: ${pipe}`);
  return pipe;
}

function fill(pipe: Pipe, text: string): void {
  const memory = new NativeMemory(text.length);
  memory.bytes.write(text);
  pipe.bytes += kernel.write(pipe.writeEnd, memory.address, text.length);
}

function drain(pipe: Pipe): string {
  const memory = new NativeMemory(65536);
  const read = kernel.read(pipe.readEnd, memory.address, memory.byteLength);
  pipe.bytes -= Math.max(0, read);
  return memory.bytes.toString('latin1', 0, Math.max(0, read));
}

socketTest('tee: both pipes have the bytes', async (t) => {
  const [from, to] = [opened(), opened()];
  fill(from, 'to be or not to be');
  t.equal(teePipe(kernel, from, to, 5), 5);
  t.equal(to.bytes, 5);
  t.equal(from.bytes, 18);
  t.equal(drain(to), 'to be');
  t.equal(drain(from), 'to be or not to be');
  from.close();
  to.close();
});

socketTest('tee: begins at the first byte each time', async (t) => {
  const [from, to] = [opened(), opened()];
  fill(from, 'again');
  t.equal(teePipe(kernel, from, to, 2), 2);
  t.equal(teePipe(kernel, from, to, 5), 5);
  t.equal(drain(to), 'agagain');
  from.close();
  to.close();
});

socketTest('tee: nothing to duplicate, or no place for it, is not now', async (t) => {
  const [from, to] = [opened(), opened(4096)];
  t.equal(teePipe(kernel, from, to, 10), Outcome.Blocked, 'empty');
  fill(from, 'x');
  t.equal(teePipe(kernel, from, to, 10), 1);
  t.equal(teePipe(kernel, from, to, 10), Outcome.Blocked, 'one page, one place: one byte fills it');
  t.equal(to.bytes, 1);
  from.close();
  to.close();
});

t.test('tee: refusals and failures are told apart', async (t) => {
  const libc = new ScriptedLibc();
  const scripted = createKernel(libc);
  const pipe = { readEnd: 0, writeEnd: 0, bytes: 0 } as Pipe;
  libc.fail('tee', Errno.EINVAL, Errno.ENOSYS, Errno.EPERM, Errno.ENOMEM, Errno.EBADF);
  for (let refused = 0; refused < 3; refused++) {
    t.equal(teePipe(scripted, pipe, pipe, 1), Outcome.NotSpliceable);
  }
  t.equal(teePipe(scripted, pipe, pipe, 1), Outcome.Failed);
  t.equal(teePipe(scripted, pipe, pipe, 1), Outcome.Failed);
});
