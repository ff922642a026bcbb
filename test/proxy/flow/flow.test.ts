import { DialState } from '#src/proxy/dial.js';
import { FlowState } from '#src/proxy/flow/flow-state.js';
import { Errno, Socket, type SocketAddress, SocketOption } from '#src/splice/index.js';
import { payload } from '#test/support/random.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, socketTest } from '#test/support/sockets/socket-kit.js';
import { takeSome } from '#test/support/worker/take-some.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';

/** asm-generic/socket.h */
const SO_RCVBUF = 8;

/** Sends everything and reads everything, through the room's loop. */
function carry(room: TestRoom, from: RawPeer, to: RawPeer, bytes: Buffer): boolean {
  const start = to.receivedBytes;
  let sent = 0;
  room.until(() => {
    sent += from.send(bytes.subarray(sent));
    to.receive();
    return to.receivedBytes - start >= bytes.length;
  });
  return to.received.subarray(start).equals(bytes);
}

/** Fills everything between `from` and `to`, who does not read. @returns bytes sent */
function clog(room: TestRoom, from: RawPeer): number {
  let sent = 0;
  for (let idle = 0; idle < 20; idle++) {
    const more = from.send(payload(1, 1024 * 1024));
    sent += more;
    if (more > 0) idle = 0;
    room.settle(5);
  }
  return sent;
}

for (const family of ['inet', 'unix'] as const) {
  socketTest(`flow: carries bytes both ways, then both ends (${family})`, async (t, kit) => {
    const room = new TestRoom(kit, { family });
    const { client, upstream, flow } = room.tunnel();
    t.equal(flow.state, FlowState.tunnelling);
    t.ok(carry(room, client, upstream, payload(1, 300_000)));
    t.ok(carry(room, upstream, client, payload(2, 300_000)));
    client.end();
    room.until(() => upstream.receive() === 0 && upstream.isEnded);
    t.equal(flow.state, FlowState.halfClosed);
    t.ok(carry(room, upstream, client, payload(3, 300_000)), 'the other direction goes on');
    upstream.end();
    room.until(() => room.flowsEnded === 1);
    client.receive();
    t.same([client.isEnded, client.errno], [true, 0]);
    t.equal(flow.state, FlowState.closed);
    t.equal(room.closed('done'), 1);
    t.same(room.finish(), nothingLeft);
  });
}

socketTest('flow: reads nothing of a client before its upstream is connected', async (t, kit) => {
  const room = new TestRoom(kit);
  room.libc.script('connect', () => -Errno.EAGAIN);
  const client = room.client();
  client.send(payload(1, 1000));
  client.end();
  room.until(() => room.count('connect_attempts') > 0);
  room.settle();
  t.equal(room.libc.count('recv'), 0);
  room.libc.script('connect');
  room.pass(100);
  const upstream = room.upstream();
  room.until(() => upstream.receive() === 0 && upstream.isEnded);
  t.ok(upstream.received.equals(payload(1, 1000)), 'and loses nothing of it');
  t.same(room.finish(), nothingLeft);
});

for (const [name, errno] of Object.entries({
  EMFILE: Errno.EMFILE,
  ENFILE: Errno.ENFILE,
  ENOBUFS: Errno.ENOBUFS,
  ENOMEM: Errno.ENOMEM,
})) {
  socketTest(
    `flow: a socket that is not to be had now (${name}) is asked for again`,
    async (t, kit) => {
      const room = new TestRoom(kit);
      room.libc.fail('socket', errno, errno, errno);
      room.client();
      room.until(() => room.count('connect_attempts') === 1);
      t.equal(room.flows()[0]!.dial!.state, DialState.choosing);
      room.pass(300);
      t.equal(room.count('connect_attempts'), 4);
      room.until(() => room.flows()[0]?.state === FlowState.tunnelling);
      t.same(room.finish(), nothingLeft);
    },
  );
}

socketTest('flow: a socket that is never to be had is a timeout', async (t, kit) => {
  const room = new TestRoom(kit);
  room.libc.script('socket', () => -Errno.EMFILE);
  const client = room.client();
  room.until(() => room.count('connect_attempts') === 1);
  room.pass(900);
  t.equal(room.flowsEnded, 0);
  room.pass(200);
  t.equal(room.closed('connect_timeout'), 1);
  t.ok(room.count('connect_attempts') < 30, 'tried at leisure');
  t.match(room.lines, [{ level: 40, error: 'EMFILE', msg: /cannot even be tried/ }], 'said once');
  client.receive();
  t.equal(client.errno, Errno.ECONNRESET);
  t.same(room.finish(), nothingLeft);
});

socketTest(
  'flow: idle pipes are descriptors, and are given up for a connection',
  async (t, kit) => {
    const room = new TestRoom(kit);
    room.pipes.give(room.pipes.take(0)!);
    room.libc.fail('socket', Errno.EMFILE);
    room.client();
    room.until(() => room.flows()[0]?.state === FlowState.tunnelling);
    t.equal(room.pipes.gauges.pooled, 0);
    t.equal(room.count('connect_failures'), 0);
    t.same(room.finish(), nothingLeft);
  },
);

socketTest('flow: a refused endpoint is followed by the next', async (t, kit) => {
  const dead = kit.listener();
  kit.close(dead.fd);
  const alive = kit.listener();
  const room = new TestRoom(kit, { endpoints: [alive.address, dead.address] });
  room.client();
  room.until(() => room.flows()[0]?.state === FlowState.tunnelling);
  t.equal(room.count('connect_attempts'), 2);
  t.equal(room.count('connect_failures'), 1);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow: after three endpoints it gives up, and says why', async (t, kit) => {
  const dead = Array.from({ length: 5 }, (): SocketAddress => {
    const { fd, address } = kit.listener();
    kit.close(fd);
    return address;
  });
  const room = new TestRoom(kit, { endpoints: dead });
  const client = room.client();
  room.until(() => room.flowsEnded === 1);
  t.equal(room.count('connect_attempts'), 3);
  t.equal(room.closed('connect_refused'), 1);
  client.receive();
  t.equal(client.errno, Errno.ECONNRESET);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow: a connection that is never made is a timeout', async (t, kit) => {
  const room = new TestRoom(kit);
  // Nobody hears of the socket: it stays as it was made.
  room.libc.script('connect', () => -Errno.EINPROGRESS);
  let registrations = 0;
  room.libc.script('epoll_ctl', (args, real) => {
    registrations++;
    return registrations === 2 ? 0 : real(...args);
  });
  room.client();
  room.until(() => room.count('connect_attempts') === 1);
  room.pass(900);
  t.equal(room.flowsEnded, 0);
  room.pass(200);
  t.equal(room.closed('connect_timeout'), 1);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow: a client that breaks off while connecting ends it', async (t, kit) => {
  const room = new TestRoom(kit);
  room.libc.script('connect', () => -Errno.EAGAIN);
  const client = room.client();
  room.until(() => room.flows().length === 1);
  client.reset();
  room.until(() => room.flowsEnded === 1);
  t.equal(room.closed('client_reset'), 1);
  t.same(room.finish(), nothingLeft);
});

for (const call of ['client', 'upstream'] as const) {
  socketTest(`flow: a ${call} socket that cannot be registered is closed`, async (t, kit) => {
    const room = new TestRoom(kit);
    let registrations = 0;
    room.libc.script('epoll_ctl', (args, real) => {
      registrations++;
      return registrations === (call === 'client' ? 1 : 2) ? -Errno.ENOMEM : real(...args);
    });
    const client = room.client();
    room.until(() => room.flowsEnded === 1);
    t.equal(room.closed('error'), 1);
    client.receive();
    t.equal(client.errno, Errno.ECONNRESET);
    t.same(room.finish(), nothingLeft);
  });
}

socketTest('flow: a client’s reset reaches the upstream', async (t, kit) => {
  const room = new TestRoom(kit);
  const { client, upstream } = room.tunnel();
  carry(room, client, upstream, payload(1, 1000));
  client.reset();
  room.until(() => room.flowsEnded === 1);
  upstream.receive();
  t.equal(upstream.errno, Errno.ECONNRESET);
  t.equal(room.closed('client_reset'), 1);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow: an upstream’s reset reaches the client', async (t, kit) => {
  const room = new TestRoom(kit);
  const { client, upstream } = room.tunnel();
  carry(room, upstream, client, payload(1, 1000));
  upstream.reset();
  room.until(() => room.flowsEnded === 1);
  client.receive();
  t.equal(client.errno, Errno.ECONNRESET);
  t.equal(room.closed('upstream_reset'), 1);
  t.same(room.finish(), nothingLeft);
});

for (const side of ['client', 'upstream'] as const) {
  socketTest(`flow: a reset after the end of the ${side}’s stream ends it`, async (t, kit) => {
    const room = new TestRoom(kit);
    const peers = room.tunnel();
    peers[side].end();
    room.until(() => peers.flow.state === FlowState.halfClosed);
    peers[side].reset();
    // The reset is known by its event: nothing is read on that side any more.
    room.until(() => room.flowsEnded === 1);
    t.equal(room.closed(`${side}_reset`), 1);
    t.same(room.finish(), nothingLeft);
  });
}

socketTest('flow: the last bytes and the FIN behind them go out together', async (t, kit) => {
  const room = new TestRoom(kit);
  const { client, upstream, flow } = room.tunnel();
  const { fd } = flow.client.transport;
  const answer = payload(5, 2000);
  upstream.send(payload(4, 1000));
  room.until(() => client.receive() >= 0 && client.receivedBytes === 1000);
  upstream.send(answer);
  upstream.end();
  pause(5);
  room.libc.trace.length = 0;
  room.until(() => client.receive() >= 0 && client.isEnded);
  const calls = room.libc.trace.filter(({ name, args }) => name !== 'recv' && args[0] === fd);
  t.same(
    calls.map(({ name }) => name),
    ['send', 'shutdown'],
  );
  t.ok(calls[0]!.args[3]! & Socket.MSG_MORE, 'held back for the FIN');
  t.ok(client.received.subarray(1000).equals(answer));
  client.send(payload(6, 100));
  room.until(() => upstream.receive() >= 0 && upstream.receivedBytes === 100);
  t.same(flow.state, FlowState.halfClosed, 'the other direction goes on');
  client.end();
  room.until(() => room.flowsEnded === 1);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow: what may be followed by more is not held back', async (t, kit) => {
  const room = new TestRoom(kit);
  const { client, upstream } = room.tunnel();
  room.libc.trace.length = 0;
  carry(room, upstream, client, payload(1, 20_000));
  const sends = room.libc.trace.filter(({ name }) => name === 'send');
  t.ok(sends.length > 0);
  t.notOk(sends.some(({ args }) => (args[3]! & Socket.MSG_MORE) !== 0));
  client.end();
  upstream.end();
  room.until(() => room.flowsEnded === 1);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow: an upstream that answers early and breaks is heard out', async (t, kit) => {
  const room = new TestRoom(kit);
  const { client, upstream } = room.tunnel();
  const answer = payload(5, 2000);
  room.libc.fail('send', Errno.EPIPE);
  client.send(payload(1, 1000));
  room.until(() => room.flows()[0]!.state === FlowState.halfClosed);
  upstream.send(answer);
  upstream.end();
  room.until(() => room.flowsEnded === 1);
  client.receive();
  t.ok(client.received.equals(answer));
  t.equal(room.closed('upstream_reset'), 1);
  t.same(room.finish(), nothingLeft);
});

for (const call of ['send', 'splice'] as const) {
  for (const errno of [Errno.ENOMEM, Errno.EIO]) {
    socketTest(
      `flow: error ${errno} in ${call} to a living client does not leave it waiting`,
      async (t, kit) => {
        const room = new TestRoom(kit);
        const { client, upstream } = room.tunnel();
        if (call === 'splice') carry(room, upstream, client, payload(1, 100_000));
        room.libc.script(call, (args, real) => {
          const isOut = call === 'send' || args[2] === room.flows()[0]?.client.transport.fd;
          return isOut ? -errno : real(...args);
        });
        upstream.send(payload(1, 1000));
        // Both peers are well and wait; no event will ever come.
        room.until(() => room.flowsEnded === 1);
        client.receive();
        t.equal(client.errno, Errno.ECONNRESET, 'bytes are lost, so no clean end');
        t.same(room.finish(), nothingLeft);
      },
    );
  }
}

socketTest('flow: nothing is said by either side for too long', async (t, kit) => {
  const room = new TestRoom(kit);
  const { client, upstream } = room.tunnel();
  carry(room, client, upstream, payload(1, 100));
  room.pass(9000);
  carry(room, upstream, client, payload(1, 100));
  room.pass(9000);
  t.equal(room.flowsEnded, 0, 'a word begins the time anew');
  room.pass(1500);
  t.equal(room.closed('idle_timeout'), 1);
  client.receive();
  upstream.receive();
  t.same([client.isEnded, upstream.isEnded], [true, true], 'nothing was lost: a clean end');
  t.same(room.finish(), nothingLeft);
});

socketTest('flow: an idle timeout shorter than the one for connecting is kept', async (t, kit) => {
  const room = new TestRoom(kit, { timeouts: { connectMs: 60_000, headMs: 1000, idleMs: 500 } });
  room.tunnel();
  room.pass(600);
  t.equal(room.closed('idle_timeout'), 1);
  t.same(room.finish(), nothingLeft);
});

socketTest(
  'flow: an idle timeout over bytes that were not taken is no clean end',
  async (t, kit) => {
    const room = new TestRoom(kit);
    const { client, upstream, flow } = room.tunnel();
    const sent = clog(room, upstream);
    t.ok(flow.tunnel!.down.isHolding, 'the client reads nothing');
    // What the last bytes' acknowledgements begin anew is in it.
    room.pass(31_000);
    t.equal(room.closed('idle_timeout'), 1);
    for (let times = 0; times < 100 && !client.isEnded && client.errno === 0; times++) {
      client.receive();
    }
    t.ok(client.receivedBytes < sent, `${client.receivedBytes} of ${sent}`);
    t.equal(client.isEnded, false, 'a FIN would say: that was all');
    t.equal(client.errno, Errno.ECONNRESET);
    t.same(room.finish(), nothingLeft);
  },
);

for (const slow of ['client', 'upstream'] as const) {
  for (const connectMs of [1000, 60_000]) {
    socketTest(
      `flow: a slow ${slow} takes what waits in its socket without an event, and is not silent (${connectMs})`,
      async (t, kit) => {
        const room = new TestRoom(kit, { timeouts: { connectMs } });
        const { client, upstream } = room.tunnel();
        const [taker, giver] = slow === 'client' ? [client, upstream] : [upstream, client];
        taker.set(SocketOption.SOL_SOCKET, SO_RCVBUF, 200_000);
        clog(room, giver);
        for (let look = 0; look < 4; look++) {
          takeSome(room, taker);
          room.pass(8000);
          t.equal(room.flowsEnded, 0, 'as long as it takes some');
        }
        room.pass(32_000);
        t.equal(room.closed('idle_timeout'), 1, 'not when it takes nothing');
        t.same(room.finish(), nothingLeft);
      },
    );
  }
}

socketTest(
  'flow: a reset while the other side takes nothing gives everything back',
  async (t, kit) => {
    for (const side of ['client', 'upstream'] as const) {
      const room = new TestRoom(kit);
      const { client, upstream } = room.tunnel();
      clog(room, upstream);
      (side === 'client' ? client : upstream).reset();
      if (side === 'upstream') client.receive();
      room.until(() => {
        if (side === 'upstream') client.receive();
        return room.flowsEnded === 1;
      });
      t.equal(room.closed(`${side}_reset`), 1);
      t.same(room.finish(), nothingLeft);
    }
  },
);

socketTest(
  'flow: urgent data and the end behind a full upstream are not cut off',
  async (t, kit) => {
    const room = new TestRoom(kit);
    const { client, upstream, flow } = room.tunnel();
    const sent: Buffer[] = [];
    // The upstream reads nothing until the pump holds what it read; the rest waits with the client.
    for (let step = 0; !flow.tunnel!.up.isHolding; step++) {
      const bytes = payload(step, 32 * 1024);
      sent.push(bytes.subarray(0, client.send(bytes)));
      room.settle(2);
    }
    const tail = payload(99, 5000);
    t.equal(client.send(tail.subarray(0, 2000)), 2000);
    room.settle();
    client.sendUrgent(tail[2000]!);
    t.equal(client.send(tail.subarray(2001)), 2999);
    client.end();
    room.settle();
    const expected = Buffer.concat([...sent, tail]);
    room.until(() => {
      upstream.receive();
      return upstream.isEnded || upstream.errno !== 0;
    });
    t.equal(upstream.receivedBytes, expected.length);
    t.ok(upstream.received.equals(expected));
    t.same(room.finish(), nothingLeft);
  },
);

socketTest('flow: an exception while it is served ends it, and only it', async (t, kit) => {
  const room = new TestRoom(kit);
  const first = room.tunnel();
  const second = room.tunnel();
  first.flow.tunnel!.up.run = () => {
    throw new Error('boom');
  };
  first.client.send(payload(1, 10));
  room.until(() => room.flowsEnded === 1);
  t.equal(room.count('exceptions'), 1);
  t.equal(room.closed('error'), 1);
  t.match(room.lines, [{ msg: 'flow failed', err: { message: 'boom' } }]);
  t.ok(carry(room, second.client, second.upstream, payload(2, 100_000)));
  t.same(room.finish(), nothingLeft);
});

socketTest('flow: an illegal change of state is an exception', async (t, kit) => {
  const room = new TestRoom(kit);
  const { flow } = room.tunnel();
  const enter = (state: FlowState): void => {
    (flow as unknown as { enter(state: FlowState): void }).enter(state);
  };
  t.throws(() => enter(FlowState.accepted), /is not followed by/);
  t.throws(() => enter(FlowState.closed), /is not followed by/);
  flow.terminate('stopped');
  flow.terminate('error');
  t.equal(room.closed('stopped'), 1, 'ended twice, it ends once');
  t.equal(room.closed('error'), 0);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow: its access line says what became of it', async (t, kit) => {
  const room = new TestRoom(kit, { logsAccess: true });
  const { client, upstream } = room.tunnel();
  carry(room, client, upstream, payload(1, 1000));
  carry(room, upstream, client, payload(1, 200_000));
  client.end();
  upstream.end();
  room.until(() => room.flowsEnded === 1);
  t.match(room.lines, [
    {
      msg: 'flow',
      listener: 'test',
      upstream: 'origin',
      bytes_up: 1000,
      bytes_down: 200_000,
      path_up: 'copy',
      path_down: 'mixed',
      close: 'done',
      client: /^127\.0\.0\.1:\d+$/,
      rtt_us: Number,
    },
  ]);
  t.same(room.finish(), nothingLeft);
});
