// When the endpoint hears that it is connected, and that its bytes have come.
import type { Test } from 'tap';
import { Errno, SocketOption, unacknowledgedBytes } from '#src/splice/index.js';
import { payload } from '#test/support/random.js';
import { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, socketTest } from '#test/support/sockets/socket-kit.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';

/** What was said of acknowledgements, in order, among what was connected and sent: 'delay', 'connect', 'send', 'now'. */
function story(room: TestRoom): string {
  const steps: string[] = [];
  for (const { name, args } of room.libc.trace) {
    if (name === 'connect' || name === 'send') steps.push(name);
    const isAck = name === 'setsockopt' && args[2] === SocketOption.TCP_QUICKACK;
    if (isAck) steps.push(steps.length === 0 ? 'delay' : 'now');
  }
  return steps.join(' ');
}

/** Turns until the flow's client has been heard and its endpoint connected. */
function connected(room: TestRoom): void {
  room.until(() => room.flows()[0]?.tunnel?.up !== undefined);
  room.settle();
}

function hangUp(t: Test, room: TestRoom, ...peers: RawPeer[]): void {
  for (const peer of peers) peer.close();
  room.settle();
  t.same(room.finish(), nothingLeft);
}

for (const sharesCalls of [true, false]) {
  const how = sharesCalls ? 'calls shared' : 'each call by itself';

  socketTest(`acks: a connection is heard of with the first bytes (${how})`, async (t, kit) => {
    const room = new TestRoom(kit, { sharesCalls });
    const client = room.client();
    client.send(payload(1, 100));
    connected(room);
    t.equal(story(room), 'delay connect send');
    const upstream = room.upstream();
    upstream.receive();
    t.ok(upstream.received.equals(payload(1, 100)));
    // A peer with Nagle's algorithm would hold its next bytes back until these are acknowledged.
    upstream.send(payload(2, 50));
    room.settle();
    t.equal(story(room), 'delay connect send now send');
    t.equal(unacknowledgedBytes(kit.kernel, upstream.fd), 0);
    client.receive();
    t.ok(client.received.equals(payload(2, 50)));
    for (const peer of [upstream, client]) {
      peer.send(payload(3, 50));
      room.settle();
    }
    t.equal(story(room), 'delay connect send now send send send', 'said once');
    hangUp(t, room, client, upstream);
  });

  socketTest(`acks: an endpoint that speaks first need not wait (${how})`, async (t, kit) => {
    const room = new TestRoom(kit, { sharesCalls });
    const client = room.client();
    connected(room);
    t.equal(story(room), 'delay connect now');
    const fd = kit.kernel.accept4(room.origin.fd, 0, 0, 0);
    t.ok(fd >= 0, 'it has the connection');
    const upstream = new RawPeer(kit, kit.own(fd));
    upstream.send(Buffer.from('220 ready'));
    room.settle();
    client.receive();
    t.equal(`${client.received}`, '220 ready');
    t.equal(unacknowledgedBytes(kit.kernel, fd), 0);
    hangUp(t, room, client, upstream);
  });
}

socketTest('acks: an answer that is the end needs none of its own', async (t, kit) => {
  const room = new TestRoom(kit);
  const client = room.client();
  client.send(payload(1, 100));
  connected(room);
  const upstream = room.upstream();
  upstream.send(payload(2, 50));
  upstream.end();
  pause(1);
  room.settle();
  t.match(story(room), /^delay connect send( send)?$/);
  client.receive();
  t.ok(client.received.equals(payload(2, 50)));
  hangUp(t, room, client, upstream);
});

socketTest('acks: a kernel that refuses costs nothing', async (t, kit) => {
  const room = new TestRoom(kit);
  room.libc.script('setsockopt', () => -Errno.ENOPROTOOPT);
  const { client, upstream } = room.tunnel();
  client.send(payload(1, 100));
  room.settle();
  upstream.receive();
  t.ok(upstream.received.equals(payload(1, 100)));
  hangUp(t, room, client, upstream);
});

socketTest('acks: a unix socket has none', async (t, kit) => {
  const room = new TestRoom(kit, { family: 'unix' });
  const { client, upstream } = room.tunnel();
  t.equal(story(room), 'connect');
  hangUp(t, room, client, upstream);
});
