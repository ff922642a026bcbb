import { closeSync, openSync } from 'node:fs';
import t from 'tap';
import {
  createKernel,
  DescriptorLedger,
  Epoll,
  Errno,
  File,
  localAddress,
  Misc,
  NativeMemory,
  openBeneath,
  openConnection,
  openListener,
  openPipe,
  Pipe,
  Sockaddr,
  Socket,
  Splice,
  withLedger,
} from '#src/splice/index.js';
import { descriptors } from '#test/support/machine/descriptors.js';

const STREAM = Socket.SOCK_STREAM | Socket.SOCK_NONBLOCK;
const kernel = createKernel();

function makeLedger(filesMax = 4096) {
  const ledger = new DescriptorLedger(DescriptorLedger.createMemory(filesMax));
  return { ledger, kept: withLedger(kernel, ledger) };
}

t.test('descriptor ledger: what was opened and not closed is closed', async (t) => {
  const { ledger, kept } = makeLedger();
  const before = descriptors();
  const any = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
  const listener = openListener(kept, any, { backlog: 4, reusePort: false, ipv6Only: false });
  const client = openConnection(kept, new Sockaddr(localAddress(kept, listener)));
  const accepted = kept.accept4(listener, 0, 0, Socket.SOCK_NONBLOCK);
  t.ok(client >= 0 && accepted >= 0);
  t.ok(openPipe(kept, 65_536, new NativeMemory(8)) instanceof Pipe);
  t.ok(kept.epoll_create1(0) >= 0);
  t.ok(kept.eventfd(0, 0) >= 0);
  t.ok(kept.timerfd_create(Misc.CLOCK_MONOTONIC, 0) >= 0);
  t.ok(kept.fcntl(listener, Splice.F_DUPFD_CLOEXEC, 0) >= 0);
  const directory = openSync('/proc/self', 'r');
  t.ok(openBeneath(kept, directory, 'stat', File.O_RDONLY) >= 0);
  closeSync(directory);
  const closed = kept.socket(Socket.AF_INET, STREAM, 0);
  kept.close(closed);
  t.equal(ledger.closeOwn(kernel), 10, 'the listener, two ends, a pipe of two, and five more');
  t.same(descriptors(), before);
  t.equal(ledger.closeOwn(kernel), 0, 'once');
});

t.test('descriptor ledger: connections are closed with a reset', async (t) => {
  const { ledger, kept } = makeLedger();
  const any = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
  const listener = openListener(kernel, any, { backlog: 4, reusePort: false, ipv6Only: false });
  const far = openConnection(kernel, new Sockaddr(localAddress(kernel, listener)));
  kept.accept4(listener, 0, 0, Socket.SOCK_NONBLOCK);
  t.equal(ledger.closeOwn(kernel), 1);
  const byte = new NativeMemory(1);
  t.equal(kernel.recv(far, byte.address, 1, 0), -Errno.ECONNRESET);
  kernel.close(far);
  kernel.close(listener);
});

t.test('descriptor ledger: what was lent is left to the next one', async (t) => {
  const { ledger, kept } = makeLedger();
  const [lent, closed] = [kernel.eventfd(0, 0), kernel.eventfd(0, 0)];
  ledger.lend(lent);
  ledger.lend(closed);
  kept.close(closed);
  // The same number, and somebody else's.
  const stranger = kernel.eventfd(0, 0);
  t.equal(stranger, closed);
  t.equal(ledger.closeOwn(kernel), 0);
  t.equal(ledger.closeLent(kernel), 1);
  t.equal(kernel.close(lent), -Errno.EBADF);
  t.equal(kernel.close(stranger), 0, 'is untouched');
});

t.test('descriptor ledger: a call that failed leaves no entry', async (t) => {
  const { ledger, kept } = makeLedger();
  t.ok(kept.socket(-1, STREAM, 0) < 0);
  t.equal(kept.epoll_create1(-1), -Errno.EINVAL);
  t.equal(kept.pipe2(new NativeMemory(8).address, Epoll.EPOLLIN), -Errno.EINVAL);
  t.equal(ledger.closeOwn(kernel), 0);
});

t.test('descriptor ledger: descriptors above its size are not kept', async (t) => {
  const { ledger, kept } = makeLedger(4);
  const fd = kept.eventfd(0, 0);
  t.ok(fd >= 4);
  t.equal(ledger.closeOwn(kernel), 0);
  t.equal(kept.close(fd), 0);
  t.equal(DescriptorLedger.createMemory(2 ** 30).byteLength, 1024 * 1024);
});
