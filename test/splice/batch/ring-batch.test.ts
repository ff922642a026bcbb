import type { Test } from 'tap';
import {
  createKernel,
  Errno,
  EventFd,
  type Kernel,
  NativeMemory,
  RingBatch,
} from '#src/splice/index.js';
import { type Script, ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { missingIoUring, testWith } from '#test/support/machine/capability.js';
import { ringMappings } from '#test/support/machine/proc.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

const CAPACITY = 8;
/** Of io_uring_enter(2) as syscall(2) takes it: its number, the ring, how many. */
const TO_SUBMIT = 2;

function ringTest(name: string, body: (t: Test, kit: SocketKit) => void): void {
  const missing = missingIoUring();
  if (missing === undefined) {
    socketTest(`ring batch: ${name}`, async (t, kit) => {
      const before = ringMappings();
      body(t, kit);
      t.equal(ringMappings(), before, 'nothing stays mapped');
    });
  } else testWith(missing, `ring batch: ${name}`, { timeout: 1000 }, async () => {});
}

interface Bench {
  readonly libc: ScriptedLibc;
  readonly kernel: Kernel;
  readonly batch: RingBatch;
  /** Of recv and send that failed: `recv 104`. */
  readonly failures: string[];
}

function open(): Bench {
  const libc = new ScriptedLibc();
  const failures: string[] = [];
  const onFailure = (call: string, errno: number): void => {
    if (call !== 'io_uring_enter') failures.push(`${call} ${errno}`);
  };
  const kernel = createKernel(libc, onFailure);
  const batch = RingBatch.open(kernel, CAPACITY, onFailure);
  if (typeof batch === 'number') throw new Error(`no ring: ${batch}`);
  libc.trace.length = 0;
  return { libc, kernel, batch, failures };
}

ringTest('all calls of a run are one', (t, kit) => {
  const { libc, batch } = open();
  const { near, far } = kit.pair();
  const bytes = new NativeMemory(CAPACITY);
  for (let call = 0; call < CAPACITY; call++) batch.send(near, bytes.address + call, 1);
  t.equal(batch.run(), CAPACITY);
  t.same(
    libc.trace.map(({ name, result }) => [name, result]),
    [['io_uring_enter', CAPACITY]],
  );
  far.receive();
  t.equal(far.receivedBytes, CAPACITY);
  batch.close();
});

/** Answers as the script says for the first times, and like the kernel after that. */
function first(...scripts: readonly Script[]): Script {
  const left = [...scripts];
  return (args, real) => (left.shift() ?? ((args, real) => real(...args)))(args, real);
}

const fails =
  (errno: number): Script =>
  () =>
    -errno;
/** Takes no more than so many. */
const takes =
  (most: number): Script =>
  (args, real) =>
    real(...args.with(TO_SUBMIT, Math.min(args[TO_SUBMIT]!, most)));

const { EAGAIN, EBUSY, ENOMEM, EINTR, EPERM } = Errno;
/** What io_uring_enter(2) may do to six calls and one that was withdrawn; how many are made by themselves then. */
const troubles: readonly (readonly [string, Script, number])[] = [
  ['is interrupted', first(fails(EINTR)), 0],
  ['is short of memory once', first(fails(EAGAIN)), 0],
  ['has no memory', fails(ENOMEM), 6],
  ['is busy', fails(EBUSY), 6],
  ['is forbidden from now on', fails(EPERM), 6],
  ['takes one at a time', takes(1), 0],
  ['takes four at a time', takes(4), 0],
  ['takes none', takes(0), 6],
  ['takes a part, and no more', first(takes(2), fails(EAGAIN)), 4],
  ['takes a part, a part, and no more', first(takes(2), takes(3), takes(0)), 1],
];

for (const [name, script, alone] of troubles) {
  ringTest(`no call is lost or made twice where the kernel ${name}`, (t, kit) => {
    const { libc, batch, failures } = open();
    const { near, far } = kit.pair('unix');
    const bytes = NativeMemory.copyOf(Buffer.from('abcdef'));
    const answer = new NativeMemory(100);
    far.send(Buffer.from('hello'));
    for (let round = 0; round < 3; round++) {
      // The first run is troubled; those after it find the ring in order, and in other places.
      libc.script('io_uring_enter', round === 0 ? script : undefined);
      failures.length = 0;
      libc.trace.length = 0;
      const calls = [
        batch.send(near, bytes.address, 1),
        batch.send(12_345, bytes.address, 1),
        batch.send(near, bytes.address + 1, 2),
        batch.recv(near, answer.address, 100),
        batch.send(near, bytes.address + 3, 3),
        batch.recv(-1, answer.address, 100),
      ];
      const gone = batch.send(near, bytes.address, 6);
      batch.withdraw(gone);
      t.equal(batch.run(), 7);
      const read = round === 0 ? 5 : -EAGAIN;
      t.same(
        [...calls, gone].map((call) => batch.resultOf(call)),
        [1, -Errno.EBADF, 2, read, 3, -Errno.EBADF, 0],
        `round ${round}`,
      );
      t.same(failures.sort(), [`recv ${Errno.EBADF}`, `send ${Errno.EBADF}`]);
      t.equal(libc.count('send') + libc.count('recv'), round === 0 ? alone : 0);
      far.receive();
      t.equal(far.received.toString(), 'abcdef'.repeat(round + 1));
    }
    t.equal(answer.bytes.toString('latin1', 0, 5), 'hello');
    batch.close();
  });
}

for (const [name, errno] of Object.entries({
  EPERM,
  ENOSYS: Errno.ENOSYS,
  EMFILE: Errno.EMFILE,
  ENFILE: Errno.ENFILE,
  ENOMEM,
  EINVAL: Errno.EINVAL,
})) {
  ringTest(`where there is no ring to be had, that is the answer (${name})`, (t) => {
    const libc = new ScriptedLibc({ io_uring_setup: () => -errno });
    t.equal(RingBatch.open(createKernel(libc), CAPACITY), -errno);
    t.equal(libc.count('close'), 0);
  });
}

ringTest('a ring that cannot be mapped is given back', (t, kit) => {
  // Its parameters are those of a ring; the descriptor is something else's.
  const libc = new ScriptedLibc({
    io_uring_setup(args, real) {
      kit.kernel.close(real(...args));
      return EventFd.open(kit.kernel).fd;
    },
  });
  t.equal(RingBatch.open(createKernel(libc), CAPACITY), -ENOMEM);
  t.equal(libc.count('close'), 1);
});

ringTest('one whose queues are two mappings, before Linux 5.4, is refused', (t, kit) => {
  const libc = new ScriptedLibc({ io_uring_setup: () => EventFd.open(kit.kernel).fd });
  t.equal(RingBatch.open(createKernel(libc), CAPACITY), -Errno.EINVAL);
  t.equal(libc.count('close'), 1);
});

ringTest('one that takes no calls, or whose calls wait, is refused', (t) => {
  const scripts: Record<string, Script> = { forbidden: fails(EPERM), deaf: takes(0) };
  for (const [name, script] of Object.entries(scripts)) {
    const libc = new ScriptedLibc({ io_uring_enter: script });
    t.equal(RingBatch.open(createKernel(libc), CAPACITY), -Errno.EOPNOTSUPP, name);
    t.equal(libc.count('close'), 2, 'the socket it was tried with, and the ring');
  }
  const libc = new ScriptedLibc({ socket: () => -Errno.EMFILE });
  t.equal(RingBatch.open(createKernel(libc), CAPACITY), -Errno.EMFILE);
  t.equal(libc.count('close'), 1);
});
