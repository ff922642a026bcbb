import t from 'tap';
import { createKernel, Epoll, Errno, EventFd, EventPoll } from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';

const EDGE = (Epoll.EPOLLIN | Epoll.EPOLLOUT | Epoll.EPOLLRDHUP | Epoll.EPOLLET) >>> 0;

function seen(
  poll: EventPoll,
  timeoutMs = 0,
): { fd: number; generation: number; events: number }[] {
  return Array.from({ length: poll.wait(timeoutMs) }, (_, index) => ({
    fd: poll.fdAt(index),
    generation: poll.generationAt(index),
    events: poll.eventsAt(index),
  }));
}

socketTest(
  'epoll: an event carries its descriptor, its generation and its bits',
  async (t, kit) => {
    const poll = new EventPoll(kit.kernel, 8);
    const { near, far } = kit.pair();
    for (const generation of [0, 1, 0x7fffffff, -0x80000000, -1]) {
      t.equal(poll.add(near, EDGE, generation), 0);
      t.same(seen(poll), [{ fd: near, generation, events: Epoll.EPOLLOUT }]);
      poll.remove(near);
    }
    far.send(Buffer.from('x'));
    poll.add(near, EDGE, 7);
    t.same(seen(poll), [{ fd: near, generation: 7, events: Epoll.EPOLLIN | Epoll.EPOLLOUT }]);
    poll.close();
  },
);

socketTest('epoll: a batch has many events, each in its place', async (t, kit) => {
  const poll = new EventPoll(kit.kernel, 64);
  const bells = Array.from({ length: 40 }, () => EventFd.open(kit.kernel));
  for (const [index, bell] of bells.entries()) {
    poll.add(bell.fd, Epoll.EPOLLIN, 1000 + index);
    bell.ring();
  }
  t.same(
    seen(poll),
    bells.map(({ fd }, index) => ({ fd, generation: 1000 + index, events: Epoll.EPOLLIN })),
  );
  for (const bell of bells) bell.close();
  poll.close();
});

socketTest(
  'epoll: one wait gives no more events than asked for, the next the rest',
  async (t, kit) => {
    const poll = new EventPoll(kit.kernel, 3);
    const bells = Array.from({ length: 5 }, () => EventFd.open(kit.kernel));
    for (const bell of bells) {
      poll.add(bell.fd, (Epoll.EPOLLIN | Epoll.EPOLLET) >>> 0, 0);
      bell.ring();
    }
    t.equal(poll.wait(0), 3);
    t.equal(poll.wait(0), 2);
    t.equal(poll.wait(0), 0);
    for (const bell of bells) bell.close();
    poll.close();
  },
);

socketTest('epoll: an edge is told once, and again when more arrives', async (t, kit) => {
  const poll = new EventPoll(kit.kernel, 8);
  const { near, far } = kit.pair();
  poll.add(near, EDGE, 1);
  t.equal(seen(poll).length, 1, 'writable');
  t.equal(seen(poll).length, 0);
  far.send(Buffer.from('one'));
  t.equal(seen(poll, 1000).length, 1);
  t.equal(seen(poll).length, 0, 'although nobody has read');
  far.send(Buffer.from('two'));
  t.equal(seen(poll, 1000).length, 1, 'a new edge');
  far.end();
  const [end] = seen(poll, 1000);
  t.ok((end!.events & Epoll.EPOLLRDHUP) !== 0, 'the end is an edge, too');
  poll.close();
});

socketTest('epoll: changing a registration raises the edge anew', async (t, kit) => {
  const poll = new EventPoll(kit.kernel, 8);
  const { near } = kit.pair();
  poll.add(near, EDGE, 1);
  t.equal(seen(poll).length, 1);
  t.equal(poll.modify(near, EDGE, 2), 0);
  t.same(seen(poll), [{ fd: near, generation: 2, events: Epoll.EPOLLOUT }]);
  poll.close();
});

socketTest('epoll: closing a descriptor deregisters it', async (t, kit) => {
  const poll = new EventPoll(kit.kernel, 8);
  const bell = EventFd.open(kit.kernel);
  poll.add(bell.fd, Epoll.EPOLLIN, 1);
  bell.ring();
  bell.close();
  t.equal(poll.wait(0), 0);
  poll.close();
});

socketTest('epoll: what cannot be registered is an error number', async (t, kit) => {
  const poll = new EventPoll(kit.kernel, 8);
  t.equal(poll.add(9999, EDGE, 1), -Errno.EBADF);
  const bell = EventFd.open(kit.kernel);
  t.equal(poll.modify(bell.fd, EDGE, 1), -Errno.ENOENT);
  t.equal(poll.remove(bell.fd), -Errno.ENOENT);
  poll.add(bell.fd, EDGE, 1);
  t.equal(poll.add(bell.fd, EDGE, 1), -17, 'EEXIST');
  bell.close();
  poll.close();
});

t.test('epoll: no descriptor for it is an exception: the worker cannot start', async (t) => {
  const libc = new ScriptedLibc();
  libc.fail('epoll_create1', Errno.EMFILE);
  t.throws(() => new EventPoll(createKernel(libc), 8), { code: 'EMFILE' });
});
