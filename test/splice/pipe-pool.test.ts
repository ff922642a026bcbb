import t from 'tap';
import { createKernel, Errno, type Pipe, PipePool, Splice } from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';

const PIPE = 65536;

function pool(libc: ScriptedLibc, memoryBytes = 16 * PIPE, idleMax?: number): PipePool {
  return new PipePool(createKernel(libc), PIPE, memoryBytes, idleMax);
}

function taken(pipes: PipePool, nowMs = 0): Pipe {
  const pipe = pipes.take(nowMs);
  if (pipe === undefined) throw new Error('no pipe');
  return pipe;
}

socketTest('pipe pool: the pipe given back last is taken first', async (t) => {
  const libc = new ScriptedLibc();
  const pipes = pool(libc);
  const [first, second] = [taken(pipes), taken(pipes)];
  pipes.give(first);
  pipes.give(second);
  t.same(pipes.gauges, { pooled: 2, inUse: 0, capacityBytes: 2 * PIPE });
  t.equal(pipes.take(0), second);
  t.equal(pipes.take(0), first);
  t.same(pipes.gauges, { pooled: 0, inUse: 2, capacityBytes: 2 * PIPE });
  t.equal(libc.count('pipe2'), 2);
  pipes.give(first);
  pipes.give(second);
  t.equal(pipes.releaseIdle(), 2);
  t.same(pipes.gauges, { pooled: 0, inUse: 0, capacityBytes: 0 });
});

socketTest('pipe pool: a pipe with bytes in it is closed, never pooled', async (t) => {
  const libc = new ScriptedLibc();
  const pipes = pool(libc);
  const pipe = taken(pipes);
  pipe.bytes = 1;
  pipes.give(pipe);
  t.same(pipes.gauges, { pooled: 0, inUse: 0, capacityBytes: 0 });
  t.equal(libc.count('close'), 2);
  const next = taken(pipes);
  t.not(next, pipe);
  t.equal(next.bytes, 0);
  pipes.give(next);
  pipes.releaseIdle();
});

socketTest('pipe pool: who can do without one leaves half of them to others', async (t) => {
  const libc = new ScriptedLibc();
  const pipes = pool(libc, 5 * PIPE);
  const spare = [pipes.takeSpare(0)!, pipes.takeSpare(0)!];
  t.equal(pipes.takeSpare(0), undefined);
  const needed = [taken(pipes), taken(pipes), taken(pipes)];
  t.equal(pipes.take(0), undefined);
  pipes.give(spare[0]!);
  pipes.give(needed[0]!);
  t.equal(pipes.takeSpare(0), undefined, 'whoever has the others');
  pipes.give(needed[1]!);
  pipes.give(needed[2]!);
  t.ok(pipes.takeSpare(0));
  t.same(pipes.gauges, { pooled: 3, inUse: 2, capacityBytes: 5 * PIPE });
  for (const pipe of [spare[1]!, needed[2]!]) pipes.give(pipe);
  pipes.releaseIdle();
});

socketTest('pipe pool: holds no more bytes than it may', async (t) => {
  const libc = new ScriptedLibc();
  const pipes = pool(libc, 3 * PIPE);
  const all = [taken(pipes), taken(pipes), taken(pipes)];
  t.equal(pipes.take(0), undefined);
  t.equal(libc.count('pipe2'), 3, 'the limit costs no system call');
  t.equal(pipes.gauges.capacityBytes, 3 * PIPE);
  pipes.give(all[0]!);
  t.equal(pipes.take(0), all[0], 'a pooled one is still to be had');
  for (const pipe of all) pipes.give(pipe);
  pipes.releaseIdle();
});

socketTest('pipe pool: keeps only so many pipes that nobody needs', async (t) => {
  const pipes = pool(new ScriptedLibc(), 16 * PIPE, 2);
  const all = [taken(pipes), taken(pipes), taken(pipes)];
  for (const pipe of all) pipes.give(pipe);
  t.same(pipes.gauges, { pooled: 2, inUse: 0, capacityBytes: 2 * PIPE });
  pipes.releaseIdle();
});

for (const [name, errno] of [
  ['EMFILE', Errno.EMFILE],
  ['ENFILE', Errno.ENFILE],
] as const) {
  socketTest(`pipe pool: after ${name} it asks no more for a second`, async (t) => {
    const libc = new ScriptedLibc();
    const pipes = pool(libc);
    const pooled = taken(pipes, 5000);
    libc.fail('pipe2', errno);
    t.equal(pipes.take(5000), undefined);
    t.equal(pipes.take(5999), undefined);
    t.equal(libc.count('pipe2'), 2, 'the second is the one that failed');
    pipes.give(pooled);
    t.equal(pipes.take(5999), pooled, 'what is pooled needs no asking');
    const next = taken(pipes, 6000);
    t.same(pipes.gauges, { pooled: 0, inUse: 2, capacityBytes: 2 * PIPE });
    pipes.give(pooled);
    pipes.give(next);
    pipes.releaseIdle();
  });
}

socketTest('pipe pool: a one-page pipe is no pipe', async (t) => {
  // What the kernel gives past pipe-user-pages-soft: one page, and EPERM for more.
  const libc = new ScriptedLibc();
  libc.script('fcntl', (args, real) => {
    if (args[1] === Splice.F_SETPIPE_SZ) return real(args[0]!, args[1], 4096) && -Errno.EPERM;
    return real(...args);
  });
  const pipes = pool(libc);
  t.equal(pipes.take(0), undefined);
  t.same(pipes.gauges, { pooled: 0, inUse: 0, capacityBytes: 0 });
  t.equal(pipes.take(999), undefined);
  t.equal(libc.count('pipe2'), 1, 'and the next try waits');
  t.equal(libc.count('close'), 2);
});

socketTest('pipe pool: a pipe smaller than asked for is counted as what it is', async (t) => {
  const libc = new ScriptedLibc();
  libc.script('fcntl', (args, real) =>
    args[1] === Splice.F_SETPIPE_SZ ? -Errno.EPERM : real(...args),
  );
  const pipes = new PipePool(createKernel(libc), 1024 * 1024, 4 * 1024 * 1024);
  const pipe = taken(pipes);
  t.equal(pipe.capacityBytes, 65536);
  t.equal(pipes.gauges.capacityBytes, 65536);
  pipes.give(pipe);
  pipes.releaseIdle();
});

t.test('pipe pool: releasing what is not there is nothing', async (t) => {
  const pipes = pool(new ScriptedLibc());
  t.equal(pipes.releaseIdle(), 0);
  t.same(pipes.gauges, { pooled: 0, inUse: 0, capacityBytes: 0 });
});
