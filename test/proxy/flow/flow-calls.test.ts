// Flows whose reads and writes are made together: what happens to one of them between its event and the end of the turn.
import type { Test } from 'tap';
import type { EventHandler } from '#src/proxy/event-loop.js';
import type { Flow } from '#src/proxy/flow/flow.js';
import { FlowState } from '#src/proxy/flow/flow-state.js';
import { Epoll, Errno, EventFd, NativeMemory, Socket } from '#src/splice/index.js';
import { payload } from '#test/support/random.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';

interface Three {
  readonly room: TestRoom;
  readonly flows: readonly { client: RawPeer; upstream: RawPeer; flow: Flow }[];
}

/** Three quiet flows. */
function threeFlows(kit: SocketKit): Three {
  const room = new TestRoom(kit, { sharesCalls: true });
  const flows = [room.tunnel(), room.tunnel(), room.tunnel()];
  room.settle();
  room.libc.trace.length = 0;
  return { room, flows };
}

/**
 * Something else that has an event in a turn, after those that were there before it. It reads with the others, or it would be
 * served when they have written.
 */
function interrupt(kit: SocketKit, room: TestRoom, act: () => void): void {
  const bell = EventFd.open(kit.kernel);
  kit.own(bell.fd);
  const silent = kit.own(kit.kernel.socket(Socket.AF_UNIX, Socket.SOCK_DGRAM, 0));
  const buffer = new NativeMemory(1);
  const handler: EventHandler = {
    generation: 0,
    readAhead(calls) {
      calls.readAhead(silent, buffer, buffer.address, 1, { hasReadAhead() {} });
    },
    onEvents() {
      bell.hear();
      room.clock.deregister(bell.fd);
      act();
    },
    onException(error) {
      throw error;
    },
  };
  room.clock.register(bell.fd, Epoll.EPOLLIN, handler);
  bell.ring();
}

function callsOf(room: TestRoom): string {
  const names = room.libc.trace.map(({ name }) => name);
  return names.filter((name) => ['recv', 'send', 'shutdown', 'close'].includes(name)).join(' ');
}

/** Whether all of it has arrived, and nothing else. */
function hasHeard(t: Test, peer: RawPeer, bytes: Buffer, name: string): void {
  pause(1);
  peer.receive();
  t.ok(peer.received.equals(bytes), `${name}: ${peer.receivedBytes} of ${bytes.length}`);
}

socketTest(
  'flow calls: those of three flows are made together, each byte goes its way',
  async (t, kit) => {
    const { room, flows } = threeFlows(kit);
    for (const [index, { client, upstream }] of flows.entries()) {
      client.send(payload(index, 1000));
      upstream.send(payload(10 + index, 700));
    }
    room.clock.turn();
    t.equal(callsOf(room), [...Array(6).fill('recv'), ...Array(6).fill('send')].join(' '));
    for (const [index, { client, upstream }] of flows.entries()) {
      hasHeard(t, upstream, payload(index, 1000), `upstream ${index}`);
      hasHeard(t, client, payload(10 + index, 700), `client ${index}`);
    }
    room.settle();
    t.equal(callsOf(room).split(' ').length, 12, 'and not one more');
    t.same(
      [room.count('batches'), room.count('batched_calls')].map((count) => count > 0),
      [true, true],
    );
    t.same(room.finish(), nothingLeft);
  },
);

for (const reason of ['drained', 'idle_timeout', 'ended_by_admin'] as const) {
  socketTest(
    `flow calls: one that is ended (${reason}) while its write waits has written`,
    async (t, kit) => {
      const { room, flows } = threeFlows(kit);
      for (const { client } of flows) client.send(payload(1, 1000));
      let sentBefore = -1;
      interrupt(kit, room, () => {
        sentBefore = room.libc.count('send');
        flows[1]!.flow.terminate(reason);
      });
      room.clock.turn();
      t.equal(sentBefore, 0, 'all three were waiting');
      t.equal(room.libc.count('send'), 3, 'none is made twice');
      for (const [index, { upstream }] of flows.entries()) {
        hasHeard(t, upstream, payload(1, 1000), `upstream ${index}`);
      }
      const { upstream } = flows[1]!;
      const isOrderly = reason !== 'ended_by_admin';
      t.same([upstream.isEnded, upstream.errno], isOrderly ? [true, 0] : [false, Errno.ECONNRESET]);
      t.same(room.finish(), nothingLeft);
    },
  );
}

socketTest('flow calls: an end whose last write did not go whole is a reset', async (t, kit) => {
  const { room, flows } = threeFlows(kit);
  const [{ client, upstream, flow }] = flows as [Three['flows'][number]];
  client.send(payload(1, 1000));
  room.libc.script('send', (args, real) => real(...args.with(2, 10)));
  interrupt(kit, room, () => flow.terminate('idle_timeout'));
  room.clock.turn();
  hasHeard(t, upstream, payload(1, 1000).subarray(0, 10), 'upstream');
  t.same([upstream.isEnded, upstream.errno], [false, Errno.ECONNRESET]);
  t.same(room.finish(), nothingLeft);
});

socketTest(
  'flow calls: one that ends before its event gives back what was read for it',
  async (t, kit) => {
    const { room, flows } = threeFlows(kit);
    let inUse = -1;
    interrupt(kit, room, () => {
      inUse = room.buffers.inUse;
      flows[1]!.flow.terminate('ended_by_admin');
    });
    for (const { client } of flows) client.send(payload(1, 1000));
    room.clock.turn();
    t.equal(inUse, 3, 'all were read, none was served');
    t.equal(room.count('events_stale'), 1);
    hasHeard(t, flows[0]!.upstream, payload(1, 1000), 'the first');
    hasHeard(t, flows[2]!.upstream, payload(1, 1000), 'the third');
    t.equal(room.buffers.inUse, 0);
    t.same(room.finish(), nothingLeft);
  },
);

socketTest(
  'flow calls: a reset of one side takes along what was read of the other',
  async (t, kit) => {
    const { room, flows } = threeFlows(kit);
    const [{ client, upstream }] = flows as [Three['flows'][number]];
    upstream.reset();
    pause(1);
    client.send(payload(1, 1000));
    room.until(() => room.flowsEnded === 1);
    t.equal(room.closed('upstream_reset'), 1);
    t.equal(room.buffers.inUse, 0);
    pause(1);
    client.receive();
    t.equal(client.errno, Errno.ECONNRESET);
    t.same(room.finish(), nothingLeft);
  },
);

socketTest('flow calls: what came before a reset is passed on before it', async (t, kit) => {
  const { room, flows } = threeFlows(kit);
  const [{ client, upstream }] = flows as [Three['flows'][number]];
  // Read ahead; the reset comes before the write is made.
  client.send(payload(1, 1000));
  interrupt(kit, room, () => client.reset());
  room.clock.turn();
  hasHeard(t, upstream, payload(1, 1000), 'upstream');
  room.until(() => room.flowsEnded === 1);
  t.equal(room.closed('client_reset'), 1);
  pause(1);
  upstream.receive();
  t.equal(upstream.errno, Errno.ECONNRESET);
  t.same(room.finish(), nothingLeft);
});

for (const errno of [Errno.EPIPE, Errno.ENOMEM]) {
  socketTest(
    `flow calls: a late write that fails (${errno}) is seen to in the same turn`,
    async (t, kit) => {
      const { room, flows } = threeFlows(kit);
      for (const { client } of flows) client.send(payload(1, 1000));
      room.libc.fail('send', errno);
      room.clock.turn();
      const [{ flow }] = flows as [Three['flows'][number]];
      // A dead sink ends its direction: its last words may be waiting. Any other error is the end.
      t.equal(flow.state, errno === Errno.EPIPE ? FlowState.halfClosed : FlowState.closed);
      hasHeard(t, flows[1]!.upstream, payload(1, 1000), 'the second');
      hasHeard(t, flows[2]!.upstream, payload(1, 1000), 'the third');
      t.equal(room.buffers.inUse, 0);
      t.same(room.finish(), nothingLeft);
    },
  );
}

socketTest('flow calls: a late write that meets a reset makes no FIN of it', async (t, kit) => {
  const { room, flows } = threeFlows(kit);
  const [{ client, upstream }] = flows as [Three['flows'][number]];
  // The answer's event comes first. Its write is made when the client is found broken, and takes the error off the socket.
  upstream.send(payload(2, 500));
  client.send(payload(1, 1000));
  client.reset();
  room.until(() => room.flowsEnded === 1);
  t.equal(room.closed('client_reset'), 1);
  pause(1);
  upstream.receive();
  t.same([upstream.isEnded, upstream.errno], [false, Errno.ECONNRESET]);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow calls: an exception of one leaves the others’ bytes alone', async (t, kit) => {
  const { room, flows } = threeFlows(kit);
  const { tunnel } = flows[1]!.flow;
  const run = tunnel!.up.run.bind(tunnel!.up);
  tunnel!.up.run = () => {
    run();
    throw new Error('boom');
  };
  for (const { client } of flows) client.send(payload(1, 1000));
  room.clock.turn();
  t.equal(room.count('exceptions'), 1);
  t.equal(room.closed('error'), 1);
  for (const [index, { upstream }] of flows.entries()) {
    hasHeard(t, upstream, payload(1, 1000), `upstream ${index}`);
  }
  t.equal(flows[1]!.upstream.errno, Errno.ECONNRESET);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow calls: an end waits for the bytes before it', async (t, kit) => {
  const { room, flows } = threeFlows(kit);
  const [{ client, upstream }] = flows as [Three['flows'][number]];
  client.send(payload(1, 1000));
  // The end comes after the event, and after the read: the next turn has it.
  interrupt(kit, room, () => client.end());
  room.until(() => upstream.receive() === 0 && upstream.isEnded);
  t.ok(upstream.received.equals(payload(1, 1000)));
  upstream.send(payload(2, 500));
  upstream.end();
  room.until(() => room.flowsEnded === 1);
  hasHeard(t, client, payload(2, 500), 'client');
  t.same([client.isEnded, room.closed('done')], [true, 1]);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow calls: whoever takes nothing holds up nobody else', async (t, kit) => {
  const { room, flows } = threeFlows(kit);
  const [full, ...others] = flows as [Three['flows'][number], ...Three['flows']];
  const bytes = payload(3, 4 * 1024 * 1024);
  let sent = 0;
  for (let idle = 0; idle < 20; idle++) {
    const more = full.client.send(bytes.subarray(sent, sent + 3000));
    sent += more;
    if (more > 0) idle = 0;
    room.clock.turn();
    if (sent > bytes.length - 3000) break;
  }
  for (const { client, upstream } of others) {
    client.send(payload(4, 5000));
    room.until(() => upstream.receive() >= 0 && upstream.receivedBytes === 5000);
  }
  room.until(() => {
    full.upstream.receive();
    return full.upstream.receivedBytes === sent;
  });
  t.ok(full.upstream.received.equals(bytes.subarray(0, sent)));
  t.same(room.finish(), nothingLeft);
});
