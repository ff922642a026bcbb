import { createHash } from 'node:crypto';
import { ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  Cmsghdr,
  createKernel,
  Errno,
  FileSender,
  GiftPages,
  lendToPipe,
  Msghdr,
  NativeMemory,
  Outcome,
  openPipe,
  type Pipe,
  PlainTransport,
  SockExtendedErr,
  SocketOption,
  sendFile,
  spliceFromFile,
  spliceToFile,
  ZeroCopySender,
} from '#src/splice/index.js';
import { ByteStream } from '#test/support/bytes.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

const kernel = createKernel();
const scratch = new NativeMemory(8);
const GIB = 1024 ** 3;
const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function piped(capacityBytes = 65536): Pipe {
  const pipe = openPipe(kernel, capacityBytes, scratch);
  if (typeof pipe === 'number') throw new Error(`no pipe: ${pipe}`);
  return pipe;
}

function drain(pipe: Pipe): Buffer {
  const memory = new NativeMemory(Math.max(1, pipe.bytes));
  const read = Math.max(0, kernel.read(pipe.readEnd, memory.address, memory.byteLength));
  pipe.bytes -= read;
  return memory.bytes.subarray(0, read);
}

function receiveAll(far: RawPeer, byteLength: number): void {
  const deadline = Date.now() + 8000;
  while (far.receivedBytes < byteLength) {
    if (far.receive() > 0) continue;
    if (Date.now() > deadline) throw new Error(`${far.receivedBytes} of ${byteLength} arrived`);
    pause(1);
  }
}

/** A file, sparse in front of `offset`, and a descriptor of it that the kit closes. */
function fileWith(t: Test, kit: SocketKit, bytes: Uint8Array, offset = 0): number {
  const fd = kit.own(openSync(join(t.testdir({}), 'file'), 'w+'));
  writeSync(fd, bytes, 0, bytes.byteLength, offset);
  return fd;
}

socketTest('sendFile: resumed at its offset, byte for byte, some bytes a call', async (t, kit) => {
  const bytes = new ByteStream(1).slice(0, 24_000_001);
  const file = fileWith(t, kit, bytes);
  const { near, far } = kit.pair();
  const sender = new FileSender(kernel);
  sender.begin(0, bytes.length);
  let blocked = 0;
  for (const deadline = Date.now() + 8000; Date.now() < deadline; ) {
    const sent = sender.send(near, file, 100_000);
    if (sent === Outcome.Eof) break;
    if (sent > 100_000) t.fail(`${sent} bytes in a call`);
    if (sent !== Outcome.Blocked) continue;
    blocked++;
    if (far.receive() === 0) pause(1);
  }
  receiveAll(far, bytes.length);
  t.ok(blocked > 0, 'the socket was full at times');
  t.equal(sender.remainingBytes, 0);
  t.equal(sha(far.received), sha(bytes));
});

socketTest('sendFile: offsets past 4 GiB', async (t, kit) => {
  const bytes = new ByteStream(2).slice(0, 20_000);
  const file = fileWith(t, kit, bytes, 5 * GIB + 3);
  const { near, far } = kit.pair();
  t.equal(sendFile(kernel, near, file, 5 * GIB + 3, 1e6), bytes.length);
  receiveAll(far, bytes.length);
  t.equal(sha(far.received), sha(bytes));
  t.equal(sendFile(kernel, near, file, 6 * GIB, 1), Outcome.Eof);
});

socketTest('sendFile: a file cut short is told from one that was sent', async (t, kit) => {
  const file = fileWith(t, kit, Buffer.alloc(10_000));
  const { near } = kit.pair();
  const sender = new FileSender(kernel);
  sender.begin(0, 10_000);
  t.equal(sender.send(near, file, 4000), 4000);
  ftruncateSync(file, 5000);
  t.equal(sender.send(near, file, 10_000), 1000);
  t.equal(sender.send(near, file, 10_000), Outcome.Eof);
  t.equal(sender.remainingBytes, 5000);
});

t.test('sendFile: refusals and failures are told apart', async (t) => {
  const libc = new ScriptedLibc();
  libc.fail('sendfile', Errno.EINTR, Errno.EAGAIN, Errno.EINVAL, Errno.EPIPE);
  const sender = new FileSender(createKernel(libc));
  sender.begin(7, 10);
  t.equal(sender.send(-1, -1, 10), Outcome.Blocked);
  t.equal(sender.errno, 0);
  t.equal(sender.send(-1, -1, 10), Outcome.NotSpliceable);
  t.equal(sender.send(-1, -1, 10), Outcome.Failed);
  t.same([sender.errno, sender.offset, sender.remainingBytes], [Errno.EPIPE, 7, 10]);
});

socketTest('file splice: file to pipe to file, at offsets past 4 GiB', async (t, kit) => {
  const bytes = new ByteStream(3).slice(0, 50_000);
  const file = fileWith(t, kit, bytes, 4 * GIB + 11);
  const path = join(t.testdirName, 'copy');
  const copy = kit.own(openSync(path, 'w+'));
  const pipe = piped();
  let moved = 0;
  while (moved < bytes.length) {
    const taken = spliceFromFile(kernel, file, 4 * GIB + 11 + moved, pipe, bytes.length - moved);
    if (taken <= 0) throw new Error(`taken ${taken}`);
    let at = moved;
    while (pipe.bytes > 0) at += Math.max(0, spliceToFile(kernel, pipe, copy, at, pipe.bytes));
    moved += taken;
  }
  t.equal(sha(readFileSync(path)), sha(bytes));
  t.equal(spliceFromFile(kernel, file, 5 * GIB, pipe, 1), Outcome.Eof);
  t.equal(spliceToFile(kernel, pipe, copy, 0, 1), Outcome.Blocked, 'an empty pipe');
  t.equal(pipe.bytes, 0);
  pipe.close();
});

t.test('file splice: refusals and failures are told apart', async (t) => {
  const libc = new ScriptedLibc();
  const pipe = { readEnd: -1, writeEnd: -1, bytes: 5 } as Pipe;
  const ENOSPC = 28;
  libc.fail('splice', Errno.EINVAL, ENOSPC, Errno.EAGAIN, Errno.EINVAL);
  const scripted = createKernel(libc);
  t.equal(spliceToFile(scripted, pipe, -1, 0, 5), Outcome.NotSpliceable);
  t.equal(spliceToFile(scripted, pipe, -1, 0, 5), Outcome.Failed);
  t.equal(spliceFromFile(scripted, -1, 0, pipe, 5), Outcome.Blocked);
  t.equal(spliceFromFile(scripted, -1, 0, pipe, 5), Outcome.NotSpliceable);
  t.equal(pipe.bytes, 5);
});

socketTest('gift pages: what is written after the gift is not in the pipe', async (t) => {
  const pages = new GiftPages(kernel, 65536);
  const pipe = piped(65536);
  for (const seed of [4, 5]) {
    const bytes = new ByteStream(seed).slice(0, 65536);
    bytes.copy(pages.bytes);
    t.equal(pages.give(pipe, bytes.length), bytes.length);
    t.ok(
      pages.bytes.every((byte) => byte === 0),
      'fresh pages',
    );
    pages.bytes.fill(0xff);
    t.equal(sha(drain(pipe)), sha(bytes));
  }
  t.equal(pages.give(pipe, 100), 100, 'less than a page, too');
  t.equal(pages.give(pipe, 100), Outcome.Blocked, 'not behind other bytes');
  t.same(drain(pipe), Buffer.alloc(100, 0xff));
  pipe.close();
});

socketTest('gift pages: pages that cannot be let go of are never used again', async (t) => {
  const libc = new ScriptedLibc();
  const pages = new GiftPages(createKernel(libc), 1);
  const pipe = piped();
  libc.fail('vmsplice', Errno.EINVAL, Errno.EAGAIN);
  t.equal(pages.give(pipe, 10), Outcome.NotSpliceable);
  t.equal(pages.give(pipe, 10), Outcome.Blocked);
  libc.fail('madvise', Errno.EINVAL);
  t.equal(pages.give(pipe, 10), Outcome.Failed);
  drain(pipe);
  t.equal(pages.give(pipe, 10), Outcome.Failed);
  t.equal(libc.count('vmsplice'), 3);
  pipe.close();
});

socketTest('lend: memory is seen as it is when the pipe is read', async (t) => {
  const memory = new NativeMemory(10);
  memory.bytes.write('0123456789');
  const pipe = piped();
  t.equal(lendToPipe(kernel, pipe, memory, 2, 5), 5);
  memory.bytes.write('x', 2);
  t.equal(drain(pipe).toString(), 'x3456', 'by reference: this is why it must not change');
  pipe.close();
});

socketTest('lend: a head and a file are one stream', async (t, kit) => {
  const { near, far } = kit.pair();
  const file = fileWith(t, kit, Buffer.from('body'));
  const memory = new NativeMemory(5);
  memory.bytes.write('head ');
  const pipe = piped();
  t.equal(lendToPipe(kernel, pipe, memory), 5);
  t.equal(spliceFromFile(kernel, file, 0, pipe, 4), 4);
  t.equal(new PlainTransport(kernel, near, true).spliceFrom(pipe, false), 9);
  receiveAll(far, 9);
  t.equal(far.received.toString(), 'head body');
  pipe.close();
});

for (const family of ['inet', 'inet6'] as const) {
  socketTest(`zero-copy sender: all bytes, all completions (${family})`, async (t, kit) => {
    const { near, far } = kit.pair(family);
    const bytes = new ByteStream(6).slice(0, 2_000_000);
    const memory = new NativeMemory(bytes.length);
    memory.bytes.set(bytes);
    const ranges: [number, number][] = [];
    let copies = 0;
    const sender = new ZeroCopySender(kernel, near, (first, last, isCopied) => {
      ranges.push([first, last]);
      if (isCopied) copies += last - first + 1;
    });
    t.equal(sender.enable(), 0);
    let sent = 0;
    for (const deadline = Date.now() + 8000; Date.now() < deadline; ) {
      if (sent < bytes.length) {
        const result = sender.send(memory, sent, Math.min(150_000, bytes.length - sent));
        if (result > 0) sent += result;
        else t.equal(result, Outcome.Blocked);
      }
      if (far.receive() === 0) pause(1);
      t.ok(sender.reap() >= 0);
      if (far.receivedBytes === bytes.length && sender.pending === 0) break;
    }
    t.equal(sha(far.received), sha(bytes));
    t.equal(sender.pending, 0);
    t.equal(sender.completed, sender.lastNumber + 1);
    t.equal(sender.copied, copies);
    t.equal(copies, sender.completed, 'loopback copies, and says so');
    let next = 0;
    for (const [first, last] of ranges.sort(([a], [b]) => a - b)) {
      t.equal(first, next);
      next = last + 1;
    }
    t.equal(next, sender.completed, 'each send exactly once');
  });
}

t.test('zero-copy sender: without memory for it, an ordinary send', async (t) => {
  const libc = new ScriptedLibc({ send: () => -Errno.ENOBUFS, setsockopt: () => 0 });
  const sender = new ZeroCopySender(createKernel(libc), -1);
  t.equal(sender.enable(), 0);
  const answers = [-Errno.ENOBUFS, 10, -Errno.ENOBUFS, -Errno.EAGAIN, -Errno.EPIPE];
  libc.script('send', () => answers.shift()!);
  const memory = new NativeMemory(10);
  t.equal(sender.send(memory), 10);
  t.equal(sender.pending, 0, 'nothing to wait for');
  t.equal(sender.send(memory), Outcome.Blocked);
  t.equal(sender.send(memory), Outcome.Failed);
  t.equal(sender.errno, Errno.EPIPE);
  t.equal(sender.refused, 2);
});

t.test('zero-copy sender: ranges, other messages of the queue, a queue that fails', async (t) => {
  const answers = [-Errno.ENOPROTOOPT, 0];
  const libc = new ScriptedLibc({ send: () => 4, setsockopt: () => answers.shift()! });
  const said: unknown[] = [];
  const sender = new ZeroCopySender(createKernel(libc), -1, (...range) => said.push(range));
  t.equal(sender.enable(), Outcome.NotSpliceable);
  t.equal(sender.errno, Errno.ENOPROTOOPT);
  const memory = new NativeMemory(4);
  t.equal(sender.send(memory), 4);
  t.equal(sender.pending, 0, 'an ordinary send, which nothing will complete');
  t.equal(sender.enable(), 0);
  for (let count = 0; count < 4; count++) t.equal(sender.send(memory), 4);
  const memoryAt = new NativeMemory(8);
  /** The kernel's message, written where the sender asks for it. */
  const answer = (origin: number, code: number, first: number, last: number) => {
    return (messageAddress: number): number => {
      const error = Buffer.alloc(Cmsghdr.size + SockExtendedErr.size);
      error.writeBigUInt64LE(BigInt(error.length), Cmsghdr.len);
      error.writeInt32LE(SocketOption.IPPROTO_IP, Cmsghdr.level);
      error.writeInt32LE(SocketOption.IP_RECVERR, Cmsghdr.type);
      error[Cmsghdr.data + SockExtendedErr.origin] = origin;
      error[Cmsghdr.data + SockExtendedErr.code] = code;
      error.writeUInt32LE(first, Cmsghdr.data + SockExtendedErr.info);
      error.writeUInt32LE(last, Cmsghdr.data + SockExtendedErr.data);
      copyTo(pointerAt(messageAddress + Msghdr.control, memoryAt), error);
      memoryAt.bytes.writeBigUInt64LE(BigInt(error.length));
      copyTo(messageAddress + Msghdr.controllen, memoryAt.bytes);
      return 0;
    };
  };
  const queue = [answer(5, 0, 0, 1), answer(2, 0, 0, 9), answer(5, 1, 2, 2)];
  libc.script('recvmsg', ([, message]) => queue.shift()?.(message!) ?? -Errno.EAGAIN);
  t.equal(sender.reap(), 3);
  t.same(said, [
    [0, 1, false],
    [2, 2, true],
  ]);
  t.same([sender.pending, sender.completed, sender.copied], [1, 3, 1]);
  libc.script('recvmsg', () => -Errno.ENOMEM);
  t.equal(sender.reap(), Outcome.Failed);
  t.equal(sender.errno, Errno.ENOMEM);
});

/** Copies bytes to an address by way of a pipe: the test has no pointers either. */
function copyTo(address: number, bytes: Uint8Array): void {
  const source = new NativeMemory(bytes.byteLength);
  source.bytes.set(bytes);
  const pipe = piped();
  kernel.write(pipe.writeEnd, source.address, bytes.byteLength);
  kernel.read(pipe.readEnd, address, bytes.byteLength);
  pipe.close();
}

function pointerAt(address: number, into: NativeMemory): number {
  const pipe = piped();
  kernel.write(pipe.writeEnd, address, 8);
  kernel.read(pipe.readEnd, into.address, 8);
  pipe.close();
  return Number(into.bytes.readBigUInt64LE());
}
