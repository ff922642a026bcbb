import {
  Errno,
  errnoName,
  openListener,
  Sockaddr,
  SocketOption,
  takeSocketError,
} from '#src/splice/index.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, socketTest } from '#test/support/sockets/socket-kit.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';

function clients(room: TestRoom, count: number): RawPeer[] {
  return Array.from({ length: count }, () => room.client());
}

socketTest('listener: takes a burst, more of it each turn', async (t, kit) => {
  const room = new TestRoom(kit);
  clients(room, 20);
  room.until(() => room.counters.acceptedBy(0) === 20);
  t.ok(room.count('loop_turns') < 15, `${room.count('loop_turns')} turns`);
  t.same(room.finish(), nothingLeft);
});

socketTest('listener: one connection costs one accept4', async (t, kit) => {
  const room = new TestRoom(kit);
  clients(room, 1);
  room.until(() => room.counters.acceptedBy(0) === 1);
  room.settle();
  t.equal(room.libc.count('accept4'), 1, 'level-triggered: no second one that finds nothing');
  t.same(room.finish(), nothingLeft);
});

for (const errno of [Errno.EMFILE, Errno.ENFILE, Errno.ENOBUFS, Errno.ENOMEM]) {
  const name = errnoName(errno);

  socketTest(`listener: pauses at ${name}, and tries again after 100 ms`, async (t, kit) => {
    const room = new TestRoom(kit);
    room.libc.script('accept4', () => -errno);
    clients(room, 2);
    room.until(() => room.count('accept_paused_descriptors') === 1);
    const calls = room.libc.count('accept4');
    room.settle();
    t.equal(room.libc.count('accept4'), calls, 'in the meantime it is not woken');
    t.match(room.lines, [{ level: 40, reason: name, listener: 'test' }]);
    room.pass(150);
    t.equal(room.count('accept_paused_descriptors'), 2);
    t.equal(room.lines.length, 1, 'said once a minute');
    room.libc.script('accept4');
    room.pass(150);
    room.until(() => room.counters.acceptedBy(0) === 2);
    t.same(room.finish(), nothingLeft);
  });
}

socketTest('listener: a flow that ends lets it try again at once', async (t, kit) => {
  const room = new TestRoom(kit);
  const { flow } = room.tunnel();
  room.libc.fail('accept4', Errno.EMFILE);
  clients(room, 1);
  room.until(() => room.count('accept_paused_descriptors') === 1);
  flow.terminate('stopped');
  room.until(() => room.counters.acceptedBy(0) === 2);
  t.same(room.finish(), nothingLeft);
});

socketTest('listener: idle pipes are descriptors, and are given up first', async (t, kit) => {
  const room = new TestRoom(kit);
  room.pipes.give(room.pipes.take(0)!);
  room.libc.fail('accept4', Errno.EMFILE);
  clients(room, 1);
  room.until(() => room.counters.acceptedBy(0) === 1);
  t.equal(room.count('accept_paused_descriptors'), 0);
  t.equal(room.pipes.gauges.pooled, 0);
  t.same(room.finish(), nothingLeft);
});

socketTest(
  'listener: descriptors of a flow that ended in the same turn are to be had',
  async (t, kit) => {
    const room = new TestRoom(kit, { sharesCalls: true });
    const { client, upstream } = room.tunnel();
    room.settle();
    upstream.end();
    client.end();
    clients(room, 1);
    pause(1);
    const { trace } = room.libc;
    trace.length = 0;
    room.libc.fail('accept4', Errno.EMFILE);
    room.clock.turn();
    const names = trace.map(({ name }) => name).filter((name) => /^(accept4|close)$/.test(name));
    t.same(names, ['accept4', 'close', 'close', 'accept4'], 'closed when they were needed, once');
    t.equal(room.counters.acceptedBy(0), 2);
    t.equal(room.count('accept_paused_descriptors'), 0);
    t.same(room.finish(), nothingLeft);
  },
);

socketTest('listener: pauses at the limit of connections', async (t, kit) => {
  const room = new TestRoom(kit, { connectionsMax: 2 });
  const [first] = clients(room, 3);
  room.until(() => room.count('accept_paused_limit') === 1);
  t.equal(room.counters.acceptedBy(0), 2);
  t.equal(room.count('flows_active'), 2);
  t.match(room.lines, [{ reason: 'connection limit reached', active: 2 }]);
  room.settle();
  t.equal(room.counters.acceptedBy(0), 2);
  first!.reset();
  room.until(() => room.counters.acceptedBy(0) === 3);
  t.equal(room.count('flows_active'), 2);
  t.same(room.finish(), nothingLeft);
});

socketTest(
  'listener: a paused one that cannot be registered again goes on trying',
  async (t, kit) => {
    const room = new TestRoom(kit);
    room.libc.fail('accept4', Errno.ENOMEM);
    clients(room, 1);
    room.until(() => room.count('accept_paused_descriptors') === 1);
    // Memory is still short when the pause is over: EPOLL_CTL_ADD fails as well.
    room.libc.fail('epoll_ctl', Errno.ENOMEM, Errno.ENOMEM);
    room.pass(500);
    room.until(() => room.counters.acceptedBy(0) === 1);
    t.same(room.finish(), nothingLeft);
  },
);

for (const errno of [Errno.ECONNABORTED, Errno.EPROTO, Errno.ENETDOWN, Errno.EPERM]) {
  socketTest(
    `listener: a connection that died in the queue (${errnoName(errno)}) is skipped`,
    async (t, kit) => {
      const room = new TestRoom(kit);
      room.libc.fail('accept4', errno);
      clients(room, 2);
      room.until(() => room.counters.acceptedBy(0) === 2);
      t.equal(room.count('accept_paused_descriptors'), 0);
      t.equal(room.counters.errorCount('accept4', errno), 1);
      t.same(room.finish(), nothingLeft);
    },
  );
}

for (const errno of [Errno.EACCES, Errno.EINVAL]) {
  socketTest(
    `listener: an error that stays (${errnoName(errno)}) does not make it spin`,
    async (t, kit) => {
      const room = new TestRoom(kit);
      room.libc.script('accept4', () => -errno);
      clients(room, 1);
      room.settle(200);
      t.ok(room.libc.count('accept4') < 20, `${room.libc.count('accept4')} calls`);
      // Nor does closing wait for a queue that never empties.
      let calls = 0;
      room.libc.script('accept4', () => (++calls > 1000 ? -Errno.EAGAIN : -errno));
      room.listener.retire();
      t.ok(calls < 200, `${calls} calls`);
      t.same(room.finish(), nothingLeft);
    },
  );
}

socketTest('listener: retiring takes what the kernel has queued', async (t, kit) => {
  const room = new TestRoom(kit);
  clients(room, 30);
  t.equal(room.listener.retire(), true);
  t.equal(room.counters.acceptedBy(0), 30);
  const late = room.client();
  room.settle();
  t.equal(takeSocketError(kit.kernel, late.fd), Errno.ECONNREFUSED, 'nobody finds it');
  room.listener.close();
  room.listener.close();
  t.same(room.finish(), nothingLeft);
});

socketTest('listener: new clients go to whom else the address has', async (t, kit) => {
  const room = new TestRoom(kit);
  const { address } = room;
  if (address.family === 'unix') throw new Error('TCP only');
  const wide = new Sockaddr({ ...address, host: '0.0.0.0' });
  const options = { backlog: 8, reusePort: true, ipv6Only: false };
  const other = kit.own(openListener(kit.kernel, wide, options));
  clients(room, 3);
  room.listener.retire();
  t.equal(room.counters.acceptedBy(0), 3, 'who came before');
  clients(room, 2);
  t.ok(kit.accept(other) >= 0 && kit.accept(other) >= 0, 'who came after');
  t.equal(room.counters.acceptedBy(0), 3);
  t.same(room.finish(), nothingLeft);
});

for (const [why, options] of [
  ['of a kernel that cannot hide it', {}],
  ['at a unix socket', { family: 'unix' }],
] as const) {
  socketTest(`listener: one ${why} is emptied and closed`, async (t, kit) => {
    const room = new TestRoom(kit, options);
    room.libc.fail('setsockopt', Errno.ENOPROTOOPT);
    clients(room, 5);
    t.equal(room.listener.retire(), false);
    t.equal(room.counters.acceptedBy(0), 5);
    const hiding = room.libc.trace.filter(
      ({ name, args }) => name === 'setsockopt' && args[2] === SocketOption.SO_BINDTOIFINDEX,
    );
    t.equal(hiding.length, 'family' in options ? 0 : 1);
    t.same(room.finish(), nothingLeft);
  });
}

socketTest('listener: a closed one is not resumed', async (t, kit) => {
  const room = new TestRoom(kit);
  room.libc.script('accept4', () => -Errno.EMFILE);
  clients(room, 1);
  room.until(() => room.count('accept_paused_descriptors') === 1);
  room.listener.close();
  const registrations = room.libc.count('epoll_ctl');
  room.listener.resume();
  room.pass(200);
  t.equal(room.libc.count('epoll_ctl'), registrations);
  t.same(room.finish(), nothingLeft);
});
