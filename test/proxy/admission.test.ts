import t from 'tap';
import { parseNetwork } from '#src/config/index.js';
import { Admission, type AdmissionSnapshot, NO_SOURCE, Verdict } from '#src/proxy/admission.js';
import { ConnectionLimit, SourceLimit } from '#src/proxy/index.js';
import { Sockaddr, type SocketAddress } from '#src/splice/index.js';
import { expectReset, socketTest } from '#test/support/sockets/socket-kit.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';

const anyone: AdmissionSnapshot = {
  allow: [],
  deny: [],
  connections: undefined,
  connectionsPerSource: undefined,
  worker: 0,
};

function networks(...texts: string[]) {
  return texts.map((text) => {
    const parsed = parseNetwork(text);
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.value;
  });
}

const limitOf = (max: number, { createMemory }: typeof ConnectionLimit | typeof SourceLimit) => ({
  max,
  shared: createMemory(2),
});

function decide(admission: Admission, host: string): Verdict {
  const family = host.includes(':') ? 'inet6' : 'inet';
  const address: SocketAddress = { family, host, port: 1234 };
  return admission.decide(new Sockaddr(address).memory.bytes as Buffer);
}

t.test('admission: deny wins over allow, and allow refuses everything else', async (t) => {
  const admission = new Admission({
    ...anyone,
    allow: networks('10.0.0.0/8', '2001:db8::/32'),
    deny: networks('10.66.0.0/16', '2001:db8:66::/48'),
  });
  for (const host of ['10.0.0.1', '10.65.255.255', '::ffff:10.0.0.1', '2001:db8::1']) {
    t.equal(decide(admission, host), Verdict.Admitted, host);
  }
  for (const host of [
    '10.66.0.1',
    '::ffff:10.66.0.1',
    '2001:db8:66::1',
    '11.0.0.1',
    '::ffff:11.0.0.1',
    '::1',
  ]) {
    t.equal(decide(admission, host), Verdict.Denied, host);
  }
});

t.test('admission: deny alone lets everybody else in', async (t) => {
  const admission = new Admission({ ...anyone, deny: networks('192.0.2.0/24') });
  t.equal(decide(admission, '192.0.2.9'), Verdict.Denied);
  t.equal(decide(admission, '192.0.3.9'), Verdict.Admitted);
  t.equal(decide(admission, '::1'), Verdict.Admitted);
});

t.test('admission: a source has so many places, whichever socket it came by', async (t) => {
  const admission = new Admission({ ...anyone, connectionsPerSource: limitOf(2, SourceLimit) });
  t.equal(decide(admission, '192.0.2.1'), Verdict.Admitted);
  const { source } = admission;
  t.not(source, NO_SOURCE);
  t.equal(decide(admission, '::ffff:192.0.2.1'), Verdict.Admitted);
  t.equal(decide(admission, '192.0.2.1'), Verdict.SourceLimit);
  t.equal(admission.source, NO_SOURCE, 'who was refused has nothing to give back');
  t.equal(decide(admission, '192.0.2.2'), Verdict.Admitted);
  admission.leave(source);
  t.equal(decide(admission, '192.0.2.1'), Verdict.Admitted);
});

t.test('admission: clients of a unix socket have no network', async (t) => {
  const admission = new Admission({ ...anyone, allow: networks('10.0.0.0/8') });
  const { memory } = new Sockaddr({ family: 'unix', path: '@x' });
  t.equal(admission.decide(memory.bytes as Buffer), Verdict.Admitted);
});

t.test('admission: without networks or source limit nobody is asked for an address', async (t) => {
  t.equal(
    new Admission({ ...anyone, connections: limitOf(1, ConnectionLimit) }).readsSource,
    false,
  );
});

for (const [family, denied] of [
  ['inet', '127.0.0.0/8'],
  ['inet6', '::1'],
] as const) {
  socketTest(`admission: a denied client (${family}) is reset, counted and logged`, (t, kit) => {
    const room = new TestRoom(kit, { family, admission: { ...anyone, deny: networks(denied) } });
    const client = room.client();
    room.until(() => room.closed('denied') === 1);
    expectReset(t, kit, client.fd);
    t.same([room.counters.acceptedBy(0), room.counters.activeOf(0)], [1, 0]);
    t.equal(room.libc.count('getpeername'), 0, 'accept4 has said the address');
    t.match(room.lines, [{ level: 20, msg: 'refused', reason: 'denied', listener: 'test' }]);
    t.same(room.finish(), nothingLeft);
  });
}

socketTest('admission: an allowed client is served', (t, kit) => {
  const room = new TestRoom(kit, { admission: { ...anyone, allow: networks('127.0.0.1') } });
  room.tunnel();
  t.equal(room.closed('denied'), 0);
  t.same(room.finish(), nothingLeft);
});

socketTest('admission: a plain listener asks accept4 for no address', (t, kit) => {
  const room = new TestRoom(kit, {
    admission: { ...anyone, connections: limitOf(9, ConnectionLimit) },
  });
  room.tunnel();
  const calls = room.libc.trace.filter(({ name }) => name === 'accept4');
  t.ok(calls.length > 0 && calls.every(({ args }) => args[1] === 0 && args[2] === 0));
  t.same(room.finish(), nothingLeft);
});

socketTest('admission: a source over its limit is reset; a flow that ends makes room', (t, kit) => {
  const connectionsPerSource = limitOf(1, SourceLimit);
  const room = new TestRoom(kit, { admission: { ...anyone, connectionsPerSource } });
  const { flow } = room.tunnel();
  const second = room.client();
  room.until(() => room.closed('source_limit') === 1);
  expectReset(t, kit, second.fd);
  flow.terminate('stopped');
  room.tunnel();
  t.equal(room.closed('source_limit'), 1);
  t.same(room.finish(), nothingLeft);
  t.ok(
    new Int32Array(connectionsPerSource.shared).every((count) => count === 0),
    'every place was given back',
  );
});

socketTest('admission: at its own limit a listener pauses, as at that of the process', (t, kit) => {
  const connections = limitOf(1, ConnectionLimit);
  const room = new TestRoom(kit, { admission: { ...anyone, connections } });
  const { flow } = room.tunnel();
  room.client();
  room.until(() => room.count('accept_paused_limit') === 1);
  t.equal(room.counters.acceptedBy(0), 1);
  t.match(room.lines, [{ level: 40, reason: 'connection limit of the listener reached' }]);
  flow.terminate('stopped');
  room.until(() => room.counters.acceptedBy(0) === 2);
  t.same(room.finish(), nothingLeft);
  t.equal(new Int32Array(connections.shared)[0], 0, 'every place was given back');
});
