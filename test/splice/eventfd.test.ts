import t from 'tap';
import { createKernel, Epoll, Errno, EventFd, EventPoll } from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';

socketTest('eventfd: is readable from the ring until it is heard', async (t, kit) => {
  const poll = new EventPoll(kit.kernel, 1);
  const bell = EventFd.open(kit.kernel);
  poll.add(bell.fd, Epoll.EPOLLIN, 0);
  t.equal(poll.wait(0), 0);
  bell.ring();
  t.equal(poll.wait(0), 1);
  t.equal(poll.wait(0), 1, 'level-triggered: it goes on ringing');
  bell.hear();
  t.equal(poll.wait(0), 0);
  bell.close();
  poll.close();
});

socketTest('eventfd: rung often before it is heard, it is heard once', async (t, kit) => {
  const poll = new EventPoll(kit.kernel, 1);
  const bell = EventFd.open(kit.kernel);
  poll.add(bell.fd, Epoll.EPOLLIN, 0);
  for (let times = 0; times < 100; times++) bell.ring();
  bell.hear();
  t.equal(poll.wait(0), 0);
  bell.close();
  poll.close();
});

socketTest('eventfd: hearing what did not ring does not block', async (_t, kit) => {
  const bell = EventFd.open(kit.kernel);
  bell.hear();
  bell.close();
});

socketTest('eventfd: two objects over one descriptor are one bell', async (t, kit) => {
  const poll = new EventPoll(kit.kernel, 1);
  const here = EventFd.open(kit.kernel);
  const there = new EventFd(createKernel(), here.fd);
  poll.add(here.fd, Epoll.EPOLLIN, 0);
  there.ring();
  t.equal(poll.wait(0), 1);
  here.hear();
  t.equal(poll.wait(0), 0);
  here.close();
  poll.close();
});

t.test('eventfd: no descriptor for it is an exception', async (t) => {
  const libc = new ScriptedLibc();
  libc.fail('eventfd', Errno.ENFILE);
  t.throws(() => EventFd.open(createKernel(libc)), { code: 'ENFILE' });
});
