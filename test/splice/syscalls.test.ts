import t from 'tap';
import {
  addressOf,
  createKernel,
  Errno,
  type Kernel,
  type Libc,
  loadLibc,
  NativeMemory,
  type SyscallName,
  syscallNames,
} from '#src/splice/index.js';

/** A C library that answers from a list: numbers ≥ 0 as they are, negative ones by way of errno. */
function answering(...answers: number[]): Libc & { args: number[][] } {
  let error = 0;
  const args: number[][] = [];
  const call = (...given: number[]): number => {
    args.push(given);
    if (answers.length === 0) throw new Error('called once too often');
    const answer = answers.shift()!;
    if (answer >= 0) return answer;
    error = -answer;
    return -1;
  };
  const calls = Object.fromEntries(syscallNames.map((name) => [name, call]));
  return { calls: calls as unknown as Libc['calls'], errno: () => error, args };
}

function call(kernel: Kernel, name: SyscallName): number {
  return (kernel[name] as (...args: number[]) => number)(1, 2, 3, 4, 5);
}

const { EINTR, EAGAIN, EINPROGRESS, EINVAL, ECONNRESET, ENOMEM } = Errno;
const onceOnly: readonly SyscallName[] = ['close', 'connect', 'epoll_wait'];
const retried = syscallNames.filter((name) => !onceOnly.includes(name));

for (const name of retried) {
  t.test(`syscalls: ${name} is made again when it was interrupted`, async (t) => {
    const libc = answering(-EINTR, -EINTR, 7);
    t.equal(call(createKernel(libc), name), 7);
    t.equal(libc.args.length, 3);
    t.same(libc.args[2], libc.args[0], 'with the same arguments');
  });
}

for (const name of syscallNames) {
  t.test(`syscalls: ${name} answers a negative error number`, async (t) => {
    t.equal(call(createKernel(answering(-EINVAL)), name), -EINVAL);
    t.equal(call(createKernel(answering(0)), name), 0);
  });
}

t.test('syscalls: close is not made again: the descriptor may be somebody else’s', async (t) => {
  const libc = answering(-EINTR);
  t.equal(createKernel(libc).close(7), 0);
  t.equal(libc.args.length, 1);
});

t.test('syscalls: connect goes on after an interruption, as if it had said so', async (t) => {
  const libc = answering(-EINTR);
  t.equal(createKernel(libc).connect(7, 0, 16), -EINPROGRESS);
  t.equal(libc.args.length, 1);
});

t.test('syscalls: epoll_wait gives no events when it was interrupted', async (t) => {
  const libc = answering(-EINTR);
  t.equal(createKernel(libc).epoll_wait(7, 0, 1, -1), 0);
  t.equal(libc.args.length, 1);
});

t.test('syscalls: splice passes no offsets', async (t) => {
  const libc = answering(7);
  createKernel(libc).splice(3, 4, 100, 2);
  t.same(libc.args, [[3, 0, 4, 0, 100, 2]]);
});

t.test('syscalls: splice with a file passes one', async (t) => {
  const libc = answering(-EINTR, 7);
  t.equal(createKernel(libc).spliceFile(3, 64, 4, 0, 100, 2), 7);
  t.same(libc.args[1], [3, 64, 4, 0, 100, 2]);
});

for (const name of syscallNames) {
  t.test(`syscalls: a failed ${name} is observed once, an answer never`, async (t) => {
    const seen: [string, number][] = [];
    const observe = (syscall: string, errno: number): void => {
      seen.push([syscall, errno]);
    };
    call(createKernel(answering(-ECONNRESET), observe), name);
    t.same(seen, [[name, ECONNRESET]]);
    call(createKernel(answering(-EAGAIN), observe), name);
    call(createKernel(answering(-EINPROGRESS), observe), name);
    call(createKernel(answering(-EINTR, 5), observe), name);
    call(createKernel(answering(5), observe), name);
    t.equal(seen.length, 1, 'EAGAIN, EINPROGRESS, EINTR and success are no failures');
    if (retried.includes(name)) {
      call(createKernel(answering(-EINTR, -EINTR, -ENOMEM), observe), name);
      t.same(seen, [
        [name, ECONNRESET],
        [name, ENOMEM],
      ]);
    }
  });
}

t.test('syscalls: errno is that of the call that failed', async (t) => {
  const kernel = createKernel();
  const memory = new NativeMemory(8);
  t.equal(kernel.read(-1, memory.address, 8), -Errno.EBADF);
  t.equal(kernel.pipe2(memory.address, 0o77777777), -Errno.EINVAL);
  t.equal(kernel.socket(1, 99, 0), -Errno.EINVAL);
  t.equal(kernel.close(-1), -Errno.EBADF);
});

t.test('syscalls: the library is loaded once', async (t) => {
  t.equal(loadLibc(), loadLibc());
});

t.test('syscalls: the clock does not go back', async (t) => {
  const { monotonicMs } = createKernel();
  let last = monotonicMs();
  for (let index = 0; index < 1000; index++) {
    const now = monotonicMs();
    if (now < last) t.fail(`${now} after ${last}`);
    last = now;
  }
});

t.test('syscalls: memory stays where it is, whatever the collector does', async (t) => {
  const blocks = Array.from({ length: 200 }, (_, index) => new NativeMemory(1 + index));
  const before = blocks.map(({ address }) => address);
  let garbage: Uint8Array[] = [];
  for (let index = 0; index < 20000; index++) {
    garbage.push(new Uint8Array(64));
    if (garbage.length > 1000) garbage = [];
  }
  t.same(
    blocks.map(({ bytes }) => addressOf(bytes)),
    before,
  );
  t.equal(new Set(before).size, before.length);
  t.ok(before.every(Number.isSafeInteger));
  t.ok(
    blocks.every(({ bytes }) => bytes.every((byte) => byte === 0)),
    'zero at first',
  );
});

t.test('syscalls: what the kernel writes at an offset is there for JavaScript', async (t) => {
  const kernel = createKernel();
  const memory = new NativeMemory(32);
  t.equal(kernel.pipe2(memory.address + 8, 0), 0);
  const readEnd = memory.bytes.readInt32LE(8);
  const writeEnd = memory.bytes.readInt32LE(12);
  memory.bytes.write('headgate', 16);
  t.equal(kernel.write(writeEnd, memory.address + 16, 8), 8);
  t.equal(kernel.read(readEnd, memory.address, 5), 5);
  t.equal(memory.bytes.toString('latin1', 0, 5), 'headg');
  kernel.close(readEnd);
  kernel.close(writeEnd);
});
