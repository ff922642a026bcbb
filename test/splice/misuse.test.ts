import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import {
  copyFile,
  copyMemory,
  createKernel,
  createPumpRoom,
  Errno,
  EventFd,
  EventPoll,
  FileSender,
  GiftPages,
  lendToPipe,
  NativeMemory,
  Outcome,
  openPipe,
  PairResult,
  type Pipe,
  PipePool,
  PlainTransport,
  PUMP_SLOTS,
  Pump,
  PumpPair,
  sendFile,
  spliceFromFile,
  spliceToFile,
  TimerFd,
  ZeroCopySender,
} from '#src/splice/index.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

// What a program that uses the library gets wrong must be told, and must not become other bytes, somebody else's memory or
// somebody else's descriptor.

const kernel = createKernel();
const scratch = new NativeMemory(8);
/** What the kernel would take for another number: for 0, for 1, for one modulo 2⁶⁴. */
const noWholeNumbers = [Number.NaN, 1.5, -1, 2 ** 53, 2 ** 64, undefined, '3'] as number[];

function piped(): Pipe {
  const pipe = openPipe(kernel, 65536, scratch);
  if (typeof pipe === 'number') throw new Error(`no pipe: ${pipe}`);
  return pipe;
}

function fileWith(t: Test, kit: SocketKit, content: string, flags = 'r+'): number {
  const path = join(t.testdir({ file: content }), 'file');
  return kit.own(openSync(path, flags));
}

function refuses(t: Test, name: string, call: () => unknown): void {
  t.throws(call, { name: 'RangeError', message: /expected a whole number from/ }, name);
}

socketTest('misuse: a number that is none is not a place in a file', async (t, kit) => {
  const file = fileWith(t, kit, 'some bytes');
  const pipe = piped();
  const sender = new FileSender(kernel);
  for (const wrong of noWholeNumbers) {
    const what = `${typeof wrong} ${wrong}`;
    refuses(t, what, () => sendFile(kernel, pipe.writeEnd, file, wrong, 4));
    refuses(t, what, () => sendFile(kernel, pipe.writeEnd, file, 0, wrong));
    refuses(t, what, () => sender.begin(wrong, 4));
    if (wrong !== undefined)
      refuses(t, what, () => copyFile(kernel, file, file, { length: wrong }));
    refuses(t, what, () => sender.begin(0, wrong));
    refuses(t, what, () => spliceFromFile(kernel, file, wrong, pipe, 4));
    refuses(t, what, () => spliceFromFile(kernel, file, 0, pipe, wrong));
    refuses(t, what, () => spliceToFile(kernel, pipe, file, wrong, 4));
    refuses(t, what, () => spliceToFile(kernel, pipe, file, 0, wrong));
  }
  sender.begin(0, 4);
  for (const wrong of [Number.NaN, 0, -1]) {
    refuses(t, 'nothing sent is not the end', () => sender.send(pipe.writeEnd, file, wrong));
  }
  t.equal(sender.send(pipe.writeEnd, file, 1000), 4);
  t.equal(kernel.read(pipe.readEnd, scratch.address, 8), 4, 'nothing but that went into the pipe');
  pipe.close();
});

socketTest('misuse: of memory only what is in it goes out', async (t, kit) => {
  const { near } = kit.pair();
  const pipe = piped();
  const memory = NativeMemory.copyOf(Buffer.from('12345678'));
  const sender = new ZeroCopySender(kernel, near);
  t.equal(sender.enable(), 0);
  t.throws(() => NativeMemory.copyOf('12345678' as unknown as Buffer), TypeError);
  const wrongs = [[0, 9], [4, 5], [-4, 4], [9], [Number.NaN, 3], [0, Number.NaN], [0, -1], [0, 0]];
  for (const [offset, length] of wrongs) {
    refuses(t, `${offset}, ${length}`, () => sender.send(memory, offset, length));
    refuses(t, `${offset}, ${length}`, () => lendToPipe(kernel, pipe, memory, offset, length));
  }
  t.equal(sender.lastNumber, -1, 'nothing was sent');
  t.equal(pipe.bytes, 0);
  t.equal(lendToPipe(kernel, pipe, memory, 7), 1);
  const gift = new GiftPages(kernel, 4096);
  for (const wrong of [0, ...noWholeNumbers.filter((value) => value < 1 || value % 1 !== 0)]) {
    refuses(t, `${wrong}`, () => gift.give(pipe, wrong));
    refuses(t, `${wrong}`, () => new GiftPages(kernel, wrong));
  }
  refuses(t, 'more than there is', () => gift.give(pipe, gift.bytes.byteLength + 1));
  refuses(t, 'copied', () => copyMemory(memory.address, scratch.address, Outcome.Blocked));
  for (const wrong of [0, Number.NaN, undefined, '3'] as number[]) {
    refuses(t, `${wrong}`, () => new NativeMemory(wrong));
    refuses(t, `${wrong}`, () => new EventPoll(kernel, wrong));
  }
  pipe.close();
});

socketTest('misuse: an outcome that nobody looked at is not a length', async (t, kit) => {
  const { near, far } = kit.pair();
  const transport = new PlainTransport(kernel, near, true);
  const memory = new NativeMemory(64);
  far.send(Buffer.from('a frame'));
  const pipe = piped();
  for (const wrong of [Outcome.Blocked, Outcome.Failed, Number.NaN, Number.POSITIVE_INFINITY]) {
    refuses(t, `write ${wrong}`, () => transport.write(memory.address, wrong));
    refuses(t, `read ${wrong}`, () => transport.read(memory.address, wrong));
    refuses(t, `discard ${wrong}`, () => transport.discard(wrong));
    refuses(t, `splice ${wrong}`, () => transport.spliceTo(pipe, wrong));
  }
  pipe.close();
  const room = createPumpRoom(kernel);
  const pump = new Pump(room, new Float64Array(PUMP_SLOTS), transport, transport);
  transport.readable = true;
  for (const wrong of [-1, Number.NaN]) {
    pump.remainingBytes = wrong;
    refuses(t, `a frame of ${wrong}`, () => pump.run());
  }
  pump.release();
  t.equal(transport.read(memory.address, 64), 7, 'and what has come is still there');
  t.equal(far.receive(), 0, 'nothing went out');
});

socketTest("misuse: what was closed is nobody's, whoever has its number now", async (t, kit) => {
  const file = join(t.testdir({ file: 'x' }), 'file');
  const isMine = (fd: number): boolean => kernel.fcntl(fd, 1, 0) >= 0;
  const closers: Record<string, () => { fds: number[]; close: () => void; use: () => number }> = {
    pipe: () => {
      const pipe = piped();
      const use = (): number => spliceFromFile(kernel, 0, 0, pipe, 1);
      return { fds: [pipe.readEnd, pipe.writeEnd], close: () => pipe.close(), use };
    },
    transport: () => {
      const transport = new PlainTransport(kernel, kit.disown(kit.pair().near), true);
      const use = (): number => transport.write(scratch.address, 1);
      return { fds: [transport.fd], close: () => transport.close(), use };
    },
    'transport, reset': () => {
      const transport = new PlainTransport(kernel, kit.disown(kit.pair().near), true);
      const use = (): number => transport.read(scratch.address, 1);
      return { fds: [transport.fd], close: () => transport.reset(), use };
    },
    poll: () => {
      const poll = new EventPoll(kernel, 1);
      return { fds: [poll.fd], close: () => poll.close(), use: () => poll.wait(0) };
    },
    eventfd: () => {
      const bell = EventFd.open(kernel);
      return { fds: [bell.fd], close: () => bell.close(), use: () => bell.fd };
    },
    timerfd: () => {
      const timer = TimerFd.open(kernel);
      return { fds: [timer.fd], close: () => timer.close(), use: () => timer.fd };
    },
  };
  for (const [name, open] of Object.entries(closers)) {
    const { fds, close, use } = open();
    close();
    for (const fd of fds) t.notOk(isMine(fd), `${name}: closed`);
    const others: number[] = [];
    while (!fds.every((fd) => others.includes(fd)) && others.length < 64) {
      others.push(kit.own(openSync(file, 'r+')));
    }
    t.ok(
      fds.every((fd) => others.includes(fd)),
      `${name}: its numbers are somebody else's`,
    );
    close();
    for (const fd of fds) t.ok(isMine(fd), `${name}: a second close is none`);
    t.ok(use() < 0, `${name}: cannot be used any more`);
    for (const fd of others) kit.close(fd);
  }
  t.equal(readFileSync(file, 'utf8'), 'x');
});

socketTest('misuse: a pair that is closed twice, and run again', async (t, kit) => {
  const one = kit.pair();
  const other = kit.pair();
  const transports = [one, other].map(
    ({ near }) => new PlainTransport(kernel, kit.disown(near), true),
  );
  const pair = new PumpPair(createPumpRoom(kernel), transports[0]!, transports[1]!);
  pair.close();
  const next = kit.pair();
  t.ok([one.near, other.near].includes(next.near), 'a number comes again');
  pair.close();
  for (const transport of transports) {
    transport.readable = true;
    transport.writable = true;
  }
  t.equal(pair.run(), PairResult.Broken);
  t.equal(transports[0]!.errno, Errno.EBADF);
  t.equal(kernel.send(next.near, scratch.address, 8, 0), 8, 'the new one is as it was');
});

t.test('misuse: a pipe has one owner', async (t) => {
  const pool = new PipePool(kernel, 65536, 1024 * 1024);
  const pipe = pool.take(0)!;
  pool.give(pipe);
  t.throws(() => pool.give(pipe), /given back before/);
  t.equal(pool.take(0), pipe);
  const other = pool.take(0)!;
  t.not(other, pipe);
  other.close();
  pool.give(other);
  t.same(pool.gauges, { pooled: 0, inUse: 1, capacityBytes: 65536 }, 'a closed one is not pooled');
  pool.give(pipe);
  pool.releaseIdle();
});

socketTest('misuse: a file copied into itself, and to where nothing can be put', async (t, kit) => {
  const directory = t.testdir({ file: '0123456789', other: 'other' });
  const path = join(directory, 'file');
  const fd = kit.own(openSync(path, 'r+'));
  t.equal(copyFile(kernel, fd, fd, { toOffset: 3, length: 9 }), -Errno.EINVAL);
  t.equal(copyFile(kernel, fd, fd, { fromOffset: 3 }), -Errno.EINVAL);
  t.equal(readFileSync(path, 'utf8'), '0123456789');
  t.match(copyFile(kernel, fd, fd, { toOffset: 10 }), { bytes: 10 }, 'once, not for ever');
  t.equal(readFileSync(path, 'utf8'), '01234567890123456789');
  writeFileSync(path, 'kept');
  const appending = kit.own(openSync(path, 'a'));
  const from = kit.own(openSync(join(directory, 'other'), 'r'));
  t.equal(copyFile(kernel, from, appending), -Errno.EBADF, 'O_APPEND: not where it was to go');
  t.equal(copyFile(kernel, from, kit.own(openSync(path, 'r'))), -Errno.EBADF);
  t.equal(readFileSync(path, 'utf8'), 'kept');
});

socketTest(
  'misuse: memory that the kernel reads stays, though nobody has kept it',
  async (t, kit) => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { near } = kit.pair();
    const forget = (): WeakRef<NativeMemory>[] => {
      const memories = [new NativeMemory(20_000), new NativeMemory(20_000)];
      const sender = new ZeroCopySender(kernel, near);
      t.equal(sender.enable(), 0);
      t.ok(sender.send(memories[0]!) > 0);
      return memories.map((memory) => new WeakRef(memory));
    };
    const [sent, unsent] = forget() as [WeakRef<NativeMemory>, WeakRef<NativeMemory>];
    for (let turn = 0; turn < 100 && unsent.deref() !== undefined; turn++) {
      await new Promise(setImmediate);
      collect();
    }
    t.equal(unsent.deref(), undefined, 'what was not sent is gone');
    t.not(sent.deref(), undefined, 'what was sent is not');
  },
);

t.test('misuse: a wait that cannot be says so', async (t) => {
  const poll = new EventPoll(kernel, 4);
  for (const wrong of [Number.POSITIVE_INFINITY, Number.NaN, 2 ** 31]) {
    refuses(t, `${wrong} ms`, () => poll.wait(wrong));
  }
  poll.close();
  t.equal(poll.wait(0), -Errno.EBADF);
  t.equal(poll.add(0, 1, 0), -Errno.EBADF);
});
