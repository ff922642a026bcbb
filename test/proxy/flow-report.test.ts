import { findSession, listFlows, mergeFlowLists } from '#src/proxy/flow-report.js';
import type { FlowList, FlowQuery } from '#src/proxy/index.js';
import { Errno, formatAddress, localAddress } from '#src/splice/index.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';

const everything: FlowQuery = { sort: 'age', limit: 100 };

function list(room: TestRoom, query: Partial<FlowQuery> = {}): FlowList {
  return listFlows(4, room.clock.registered(), { ...everything, ...query }, room.clock.nowMs);
}

for (const family of ['inet', 'inet6', 'unix'] as const) {
  socketTest(`flow report: the client is asked for when it is needed (${family})`, (t, kit) => {
    const room = new TestRoom(kit, { family });
    const { client } = room.tunnel();
    t.equal(room.libc.count('getpeername'), 0, 'not before');
    t.match(list(room), {
      matched: 1,
      flows: [
        {
          id: '4-1',
          listener: 'test',
          client: family === 'unix' ? 'unix:' : formatAddress(localAddress(kit.kernel, client.fd)),
          upstream: 'origin',
          endpoint: formatAddress(room.origin.address),
          state: 'tunnelling',
          up: { bytes: 0, path: 'none', state: 'waiting' },
        },
      ],
    });
    t.equal(room.libc.count('getpeername'), 1);
    t.same(room.finish(), nothingLeft);
  });
}

socketTest('flow report: only what is shown is described', (t, kit) => {
  const room = new TestRoom(kit);
  for (let count = 0; count < 5; count++) room.tunnel();
  const { flows, matched } = list(room, { limit: 2 });
  t.equal(matched, 5);
  t.strictSame(
    flows.map(({ id }) => id),
    ['4-1', '4-2'],
  );
  t.equal(room.libc.count('getpeername'), 2);
  t.equal(list(room, { listener: 'other' }).matched, 0);
  t.equal(list(room, { upstream: 'other' }).matched, 0);
  t.equal(room.libc.count('getpeername'), 2);
  t.same(room.finish(), nothingLeft);
});

socketTest(
  'flow report: a flow without an upstream yet has neither endpoint times nor pumps',
  (t, kit) => {
    const room = new TestRoom(kit);
    room.libc.script('connect', () => -Errno.EAGAIN);
    room.client();
    room.until(() => room.count('connect_failures') > 0);
    room.nowMs += 3;
    const [flow] = list(room, { state: 'accepted' }).flows;
    t.match(flow, { up: { bytes: 0, path: 'none', state: 'none' } });
    t.equal(flow!.connect_ms, undefined);
    t.equal(list(room, { state: 'connecting' }).matched, 0);
    t.same(room.finish(), nothingLeft);
  },
);

socketTest('flow report: a client whose address is gone is shown all the same', (t, kit) => {
  const room = new TestRoom(kit);
  room.tunnel();
  room.libc.script('getpeername', () => -Errno.ENOTCONN);
  t.match(list(room), { matched: 1, flows: [{ client: '' }] });
  t.equal(list(room, { client: '127.0.0.1' }).matched, 0);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow report: a flow is found by its number, until it has ended', (t, kit) => {
  const room = new TestRoom(kit);
  const { flow } = room.tunnel();
  const { flow: other } = room.tunnel();
  t.equal(findSession(room.clock.registered(), flow.sequence)?.sequence, 1);
  t.equal(findSession(room.clock.registered(), other.sequence)?.sequence, 2);
  t.equal(findSession(room.clock.registered(), 99), undefined);
  flow.terminate('ended_by_admin');
  t.equal(findSession(room.clock.registered(), flow.sequence), undefined);
  t.equal(room.closed('ended_by_admin'), 1);
  t.same(room.finish(), nothingLeft);
});

socketTest('flow report: lists of several workers are put together in order', (t, kit) => {
  const room = new TestRoom(kit);
  room.tunnel();
  room.nowMs += 10;
  room.clock.turn();
  room.tunnel();
  const one = list(room);
  const other = listFlows(5, room.clock.registered(), everything, room.nowMs);
  const merged = mergeFlowLists([one, other], { ...everything, limit: 3 });
  t.equal(merged.matched, 4);
  t.strictSame(
    merged.flows.map(({ id, age_ms }) => `${id} ${age_ms}`),
    ['4-1 10', '5-1 10', '4-2 0'],
  );
  t.same(room.finish(), nothingLeft);
});
