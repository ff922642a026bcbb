import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createKernel,
  Epoll,
  Errno,
  type Kernel,
  NativeMemory,
  Outcome,
  openPipe,
  type Pipe,
  PlainTransport,
} from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { payload } from '#test/support/random.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

const memory = new NativeMemory(65536);

interface Ends {
  readonly libc: ScriptedLibc;
  readonly kernel: Kernel;
  readonly transport: PlainTransport;
  readonly far: RawPeer;
}

function ends(kit: SocketKit, family: 'inet' | 'unix' = 'inet'): Ends {
  const libc = new ScriptedLibc();
  const kernel = createKernel(libc);
  const { near, far } = kit.pair(family);
  const transport = new PlainTransport(kernel, near, family === 'inet');
  transport.notice(Epoll.EPOLLIN | Epoll.EPOLLOUT);
  return { libc, kernel, transport, far };
}

function emptyPipe(kit: SocketKit, bytes = 65536): Pipe {
  const pipe = openPipe(kit.kernel, bytes, new NativeMemory(8));
  if (typeof pipe === 'number') throw new Error('no pipe');
  kit.own(pipe.readEnd);
  kit.own(pipe.writeEnd);
  return pipe;
}

socketTest('plain transport: a fresh one waits for its first event', async (t, kit) => {
  const transport = new PlainTransport(kit.kernel, kit.pair().near, true);
  t.same([transport.readable, transport.writable, transport.errno], [false, false, 0]);
});

socketTest('plain transport: events set readiness, each its own', async (t, kit) => {
  const { EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP } = Epoll;
  for (const [events, readable, writable] of [
    [0, false, false],
    [EPOLLIN, true, false],
    [EPOLLPRI, true, false],
    [EPOLLRDHUP, true, false],
    [EPOLLOUT, false, true],
    [EPOLLERR, true, true],
    [EPOLLHUP, true, true],
  ] as const) {
    const transport = new PlainTransport(kit.kernel, kit.pair().near, true);
    transport.notice(events);
    t.same([transport.readable, transport.writable], [readable, writable], `events ${events}`);
    transport.notice(0);
    t.same([transport.readable, transport.writable], [readable, writable], 'nothing clears them');
  }
});

socketTest('plain transport: a short read has drained a TCP socket', async (t, kit) => {
  const { transport, far } = ends(kit);
  far.send(payload(1, 100));
  t.equal(transport.read(memory.address, 1000), 100);
  t.equal(transport.readable, false, 'the next byte is a new edge');
});

socketTest('plain transport: a full read may have left something', async (t, kit) => {
  const { transport, far } = ends(kit);
  far.send(payload(1, 100));
  t.equal(transport.read(memory.address, 100), 100);
  t.equal(transport.readable, true);
  t.equal(transport.read(memory.address, 100), Outcome.Blocked);
  t.equal(transport.readable, false);
});

socketTest('plain transport: a short read says nothing of a unix socket', async (t, kit) => {
  const { transport, far } = ends(kit, 'unix');
  far.send(payload(1, 100));
  t.equal(transport.read(memory.address, 1000), 100);
  t.equal(transport.readable, true);
  t.equal(transport.read(memory.address, 1000), Outcome.Blocked);
});

for (const family of ['inet', 'unix'] as const) {
  socketTest(
    `plain transport: the end behind the last bytes is not missed (${family})`,
    async (t, kit) => {
      const { transport, far } = ends(kit, family);
      far.send(payload(1, 100));
      far.end();
      pause(1);
      transport.notice(Epoll.EPOLLIN | Epoll.EPOLLRDHUP);
      t.equal(transport.read(memory.address, 1000), 100);
      t.equal(transport.readable, true, 'no further event will come');
      t.equal(transport.read(memory.address, 1000), Outcome.Eof);
      t.equal(transport.readable, false);
    },
  );

  socketTest(
    `plain transport: the end behind a spliced byte is not missed (${family})`,
    async (t, kit) => {
      const { transport, far } = ends(kit, family);
      const pipe = emptyPipe(kit);
      far.send(payload(1, 100));
      far.end();
      pause(1);
      transport.notice(Epoll.EPOLLIN | Epoll.EPOLLRDHUP);
      t.equal(transport.spliceTo(pipe, 1000), 100);
      t.equal(pipe.bytes, 100);
      t.equal(transport.readable, true);
      t.equal(transport.spliceTo(emptyPipe(kit), 1000), Outcome.Eof);
    },
  );
}

socketTest(
  'plain transport: bytes that a reset left behind are read, then the error',
  async (t, kit) => {
    const { transport, far } = ends(kit);
    far.send(payload(1, 100));
    far.reset();
    transport.notice(Epoll.EPOLLIN | Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR);
    t.equal(transport.read(memory.address, 1000), 100);
    t.equal(transport.readable, true);
    t.equal(transport.read(memory.address, 1000), Outcome.Failed);
    t.equal(transport.errno, Errno.ECONNRESET);
  },
);

socketTest('plain transport: a short splice asks the socket what is left', async (t, kit) => {
  const { transport, far, libc } = ends(kit);
  far.send(payload(1, 100));
  t.equal(transport.spliceTo(emptyPipe(kit), 1000), 100);
  t.equal(transport.readable, false);
  t.equal(libc.count('ioctl'), 1);
  // A pipe of one slot takes one segment's byte; the others are still there.
  transport.readable = true;
  for (let byte = 0; byte < 40; byte++) far.send(Buffer.from([byte]));
  const moved = transport.spliceTo(emptyPipe(kit, 4096), 1000);
  t.ok(moved >= 1 && moved < 40, `${moved} of 40`);
  t.equal(transport.readable, true);
  // One that cannot tell is one that may have more.
  libc.fail('ioctl', Errno.EINVAL);
  far.send(payload(1, 10));
  transport.spliceTo(emptyPipe(kit), 60_000);
  t.equal(transport.readable, true);
});

socketTest('plain transport: an empty socket blocks, and waits for an event', async (t, kit) => {
  const { transport } = ends(kit);
  const pipe = emptyPipe(kit);
  t.equal(transport.spliceTo(pipe, 1000), Outcome.Blocked);
  t.equal(transport.readable, false);
  t.equal(pipe.bytes, 0);
  t.equal(transport.writable, true, 'the other direction has nothing to do with it');
});

socketTest('plain transport: a full socket blocks, and an event frees it', async (t, kit) => {
  const { transport, far } = ends(kit);
  let written = 0;
  for (let outcome = 1; outcome > 0 && transport.writable; ) {
    outcome = transport.write(memory.address, 65536);
    if (outcome > 0) written += outcome;
  }
  t.equal(transport.writable, false);
  t.equal(transport.readable, true);
  for (let times = 0; times < 1000 && far.receivedBytes < written; times++) {
    if (far.receive() === 0) pause(1);
  }
  t.equal(far.receivedBytes, written);
  transport.notice(Epoll.EPOLLOUT);
  t.equal(transport.write(memory.address, 1), 1);
});

socketTest('plain transport: a pipe is emptied, all of it or what fits', async (t, kit) => {
  const { transport, far } = ends(kit);
  const other = ends(kit);
  const bytes = payload(2, 40_000);
  other.far.send(bytes);
  const pipe = emptyPipe(kit);
  const filled = other.transport.spliceTo(pipe, 40_000);
  t.equal(pipe.bytes, filled);
  t.equal(transport.spliceFrom(pipe, false), filled);
  t.equal(pipe.bytes, 0);
  for (let times = 0; times < 100 && far.receivedBytes < filled; times++) far.receive();
  t.ok(far.received.equals(bytes.subarray(0, filled)));
});

socketTest('plain transport: refusing to splice is not a failure', async (t, kit) => {
  const { transport, libc } = ends(kit);
  for (const errno of [Errno.EINVAL, Errno.ENOSYS, Errno.EOPNOTSUPP, Errno.EPERM]) {
    libc.fail('splice', errno, errno);
    const pipe = emptyPipe(kit);
    t.equal(transport.spliceTo(pipe, 100), Outcome.NotSpliceable);
    t.equal(transport.errno, errno);
    pipe.bytes = 10;
    t.equal(transport.spliceFrom(pipe, false), Outcome.NotSpliceable);
    t.equal(pipe.bytes, 10);
    t.same([transport.readable, transport.writable], [true, true], 'reading and writing go on');
  }
});

socketTest(
  'plain transport: a pipe that has less than was counted into it is a failure',
  async (t, kit) => {
    const { transport, libc } = ends(kit);
    libc.script('splice', () => 0);
    const pipe = emptyPipe(kit);
    pipe.bytes = 10;
    t.equal(transport.spliceFrom(pipe, false), Outcome.Failed);
    t.equal(transport.errno, Errno.EIO);
  },
);

for (const errno of [Errno.ECONNRESET, Errno.EPIPE, Errno.ETIMEDOUT, Errno.ENOMEM, Errno.EIO]) {
  socketTest(`plain transport: error ${errno} is kept, whoever meets it`, async (t, kit) => {
    const { transport, libc } = ends(kit);
    const pipe = emptyPipe(kit);
    libc.fail('recv', errno);
    libc.fail('send', errno);
    libc.fail('splice', errno, errno);
    t.equal(transport.read(memory.address, 10), Outcome.Failed);
    t.equal(transport.errno, errno);
    transport.errno = 0;
    t.equal(transport.write(memory.address, 10), Outcome.Failed);
    t.equal(transport.errno, errno);
    transport.errno = 0;
    t.equal(transport.spliceTo(pipe, 10), Outcome.Failed);
    t.equal(transport.errno, errno);
    transport.errno = 0;
    pipe.bytes = 10;
    t.equal(transport.spliceFrom(pipe, false), Outcome.Failed);
    t.equal(transport.errno, errno);
  });
}

socketTest(
  'plain transport: writing to a peer that is gone does not kill the process',
  async (t, kit) => {
    const { transport, far } = ends(kit);
    far.reset();
    t.equal(transport.write(memory.address, 10), Outcome.Failed);
    t.equal(transport.write(memory.address, 10), Outcome.Failed);
    t.equal(transport.errno, Errno.EPIPE, 'and no SIGPIPE');
  },
);

socketTest('plain transport: the end of our stream leaves reading alone', async (t, kit) => {
  const { transport, far } = ends(kit);
  transport.write(memory.address, 10);
  t.equal(transport.shutdownWrite(), 0);
  pause(1);
  far.receive();
  t.same([far.receivedBytes, far.isEnded], [10, true]);
  far.send(payload(1, 50));
  t.equal(transport.read(memory.address, 100), 50);
});

socketTest('plain transport: an end that cannot be said is a failure', async (t, kit) => {
  const { transport, libc } = ends(kit);
  libc.fail('shutdown', Errno.ENOTCONN);
  t.equal(transport.shutdownWrite(), Outcome.Failed);
  t.equal(transport.errno, Errno.ENOTCONN);
});

socketTest('plain transport: closing delivers, resetting does not', async (t, kit) => {
  for (const how of ['close', 'reset'] as const) {
    const { transport, far } = ends(kit);
    transport.write(memory.address, 10);
    transport[how]();
    kit.disown(transport.fd);
    pause(1);
    far.receive();
    t.same([far.isEnded, far.errno], how === 'close' ? [true, 0] : [false, Errno.ECONNRESET]);
  }
});

socketTest(
  'plain transport: urgent data is read in its place and never spliced',
  async (t, kit) => {
    const { transport, far } = ends(kit);
    far.send(Buffer.from('ab'));
    far.sendUrgent(0x21);
    far.send(Buffer.from('cd'));
    transport.notice(Epoll.EPOLLIN | Epoll.EPOLLPRI);
    t.equal(transport.spliceTo(emptyPipe(kit), 100), Outcome.NotSpliceable);
    let text = '';
    for (let outcome = 1; outcome > 0; ) {
      outcome = transport.read(memory.address, 100);
      if (outcome > 0) text += memory.bytes.toString('latin1', 0, outcome);
    }
    t.equal(text, 'ab!cd');
  },
);

socketTest(
  'plain transport: urgent data that no event told of is no end of stream',
  async (t, kit) => {
    // Urgent byte, more bytes and FIN arrive while the pump is at work on an earlier event: splice(2)
    // stops at the urgent byte, and with the FIN behind it answers 0, as at the end.
    const { transport, far } = ends(kit);
    far.send(Buffer.from('ab'));
    far.sendUrgent(0x21);
    far.send(Buffer.from('cd'));
    far.end();
    pause(1);
    const pipe = emptyPipe(kit);
    t.equal(transport.spliceTo(pipe, 100), 2);
    transport.readable = true;
    t.not(transport.spliceTo(emptyPipe(kit), 100), Outcome.Eof, '“!cd” is still to come');
  },
);

socketTest('plain transport: a read that begins at an urgent byte has it', async (t, kit) => {
  const { transport, far } = ends(kit);
  far.send(Buffer.from('ab'));
  far.sendUrgent(0x21);
  far.send(Buffer.from('cd'));
  pause(1);
  t.equal(transport.read(memory.address, 2), 2, 'no event has told of it yet');
  let text = '';
  for (let outcome = 1; outcome > 0; ) {
    outcome = transport.read(memory.address, 100);
    if (outcome > 0) text += memory.bytes.toString('latin1', 0, outcome);
  }
  t.equal(text, '!cd');
});

socketTest(
  'plain transport: a file after a head that waits for it, byte by byte',
  async (t, kit) => {
    const { transport, far, libc } = ends(kit);
    const bytes = payload(1, 30_000_000);
    const path = join(t.testdir({}), 'file');
    writeFileSync(path, bytes);
    const file = kit.own(openSync(path, 'r'));
    memory.bytes.write('head');
    t.equal(transport.write(memory.address, 4, true), 4);
    const expected = Buffer.concat([Buffer.from('head'), bytes]);
    let blocked = 0;
    for (let offset = 0; offset < bytes.length; ) {
      const sent = transport.sendFile(file, offset, bytes.length - offset);
      if (sent > 0) offset += sent;
      if (sent > 0) continue;
      if (blocked++ === 0) t.same([sent, transport.writable], [Outcome.Blocked, false]);
      far.receive();
    }
    t.equal(transport.sendFile(file, bytes.length, 10), Outcome.Eof, 'the end of the file');
    while (far.receivedBytes < expected.length) far.receive();
    t.ok(far.received.equals(expected));
    t.ok(blocked > 0);
    libc.script('sendfile', () => -Errno.EINVAL);
    t.equal(transport.sendFile(file, 0, 10), Outcome.NotSpliceable, 'no file that can be mapped');
    t.equal(transport.errno, Errno.EINVAL);
  },
);

socketTest('plain transport: a signal ends sendfile early, and nothing else', async (t, kit) => {
  const { transport, libc } = ends(kit);
  const path = join(t.testdir({}), 'file');
  writeFileSync(path, payload(1, 200_000));
  const file = kit.own(openSync(path, 'r'));
  // Also a task that the kernel has the thread do, as when a ring of io_uring is closed.
  libc.script('sendfile', (args, real) => real(...args.with(3, 65_536)));
  t.equal(transport.sendFile(file, 0, 200_000), 65_536);
  t.equal(transport.writable, true, 'no event would follow');
});

for (const family of ['inet', 'unix'] as const) {
  socketTest(`plain transport: what nobody wants is dropped (${family})`, async (t, kit) => {
    const { libc, transport, far } = ends(kit, family);
    const bytes = payload(1, 30_000);
    far.send(bytes);
    t.equal(transport.discard(10_000), 10_000, 'no more than it was told');
    t.equal(transport.read(memory.address, 5000), 5000);
    t.ok(memory.bytes.subarray(0, 5000).equals(bytes.subarray(10_000, 15_000)));
    t.equal(transport.discard(1 << 30), 15_000);
    if (family === 'inet') {
      t.equal(transport.readable, false, 'a short one has drained it');
      t.ok(
        libc.trace.some(({ name, args }) => name === 'recv' && args[1] === 0),
        'not copied',
      );
    } else t.equal(transport.discard(1 << 30), Outcome.Blocked);
    far.end();
    transport.notice(Epoll.EPOLLIN | Epoll.EPOLLRDHUP);
    t.equal(transport.discard(1 << 30), Outcome.Eof);
  });
}

socketTest('plain transport: a reset is met when dropping, too', async (t, kit) => {
  const { transport, far } = ends(kit);
  far.reset();
  transport.notice(Epoll.EPOLLIN | Epoll.EPOLLERR | Epoll.EPOLLHUP);
  t.equal(transport.discard(1 << 30), Outcome.Failed);
  t.equal(transport.errno, Errno.ECONNRESET);
});
