import { constants } from 'node:os';
import t from 'tap';
import { SyscallNumber } from '#src/splice/constants.js';
import {
  Epoll,
  Errno,
  File,
  IoUring,
  Misc,
  Socket,
  SocketOption,
  Splice,
} from '#src/splice/index.js';
import { evaluate, hasCompiler } from '#test/support/machine/c-program.js';

const groups: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  Socket,
  SocketOption,
  Epoll,
  Splice,
  Misc,
  File,
  IoUring,
  Errno,
};

t.test(
  'constants: every one is what the headers of this machine say',
  { skip: hasCompiler ? false : 'no C compiler (gcc)' },
  async (t) => {
    const values = evaluate(
      [
        'errno.h',
        'fcntl.h',
        'netinet/in.h',
        'netinet/tcp.h',
        'poll.h',
        'sys/epoll.h',
        'sys/eventfd.h',
        'sys/timerfd.h',
        'time.h',
        'sys/ioctl.h',
        'sys/mman.h',
        'sys/prctl.h',
        'sys/stat.h',
        'linux/io_uring.h',
        'linux/openat2.h',
        'linux/sockios.h',
        'sys/socket.h',
      ],
      Object.values(groups).flatMap((group) => Object.keys(group)),
    );
    for (const [name, group] of Object.entries(groups)) {
      for (const [constant, value] of Object.entries(group)) {
        t.equal(value, values.get(constant), `${name}.${constant}`);
      }
    }
  },
);

t.test(
  'constants: the calls without a wrapper have the numbers of this machine',
  { skip: hasCompiler ? false : 'no C compiler (gcc)' },
  async (t) => {
    const names = Object.keys(SyscallNumber);
    const values = evaluate(
      ['sys/syscall.h'],
      names.map((name) => `SYS_${name}`),
    );
    t.same(
      SyscallNumber,
      Object.fromEntries(names.map((name) => [name, values.get(`SYS_${name}`)])),
    );
  },
);

t.test('constants: error numbers agree with those Node knows', async (t) => {
  const known = constants.errno as Readonly<Record<string, number>>;
  for (const [name, value] of Object.entries(Errno)) {
    if (name in known) t.equal(value, known[name], name);
  }
});

t.test('constants: EPOLLET is positive, and stays so with `>>> 0`', async (t) => {
  t.ok(Epoll.EPOLLET > 0);
  t.ok((Epoll.EPOLLIN | Epoll.EPOLLET) < 0, 'the trap: `|` makes it negative');
  t.equal((Epoll.EPOLLIN | Epoll.EPOLLET) >>> 0, 0x80000001);
});
