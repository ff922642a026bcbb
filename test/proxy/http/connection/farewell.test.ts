// How a client's connection ends behind its last answer: whatever the client still says, it gets all of that.
import type { HttpConnection } from '#src/proxy/http/connection/connection.js';
import { Outcome } from '#src/splice/index.js';
import { type ExchangeRig, exchangeTest, GET, OK } from '#test/support/http/exchange-rig.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';

const LAST = 'GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const CLOSING = OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
/** More than a client's socket takes that reads nothing, less than the sockets on the way hold. */
const BODY = 'x'.repeat(200_000);
const LONG = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n`;

/** The endpoint says it all, however little its socket takes at once, to a client that reads nothing. */
function sayLong({ room }: ExchangeRig, upstream: RawPeer): void {
  const bytes = Buffer.from(`${LONG}\r\n${BODY}`);
  let sent = 0;
  room.until(() => {
    sent += upstream.send(bytes.subarray(sent));
    return sent === bytes.length;
  });
}

exchangeTest('a long answer is not lost for what the client sends behind its request', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, LAST);
  sayLong(rig, rig.upstream());
  rig.room.until(() => rig.room.sessions().every(({ stateName }) => stateName === 'lingering'));
  rig.say(client, '\r\n');
  rig.hear(client, `${LONG}Connection: close\r\n\r\n${BODY}`);
  rig.expectEnd(client);
  t.equal(rig.room.sessions().length, 1, 'until the client has ended');
  client.end();
  rig.room.settle();
  t.same([rig.room.sessions().length, rig.room.closed('done')], [0, 1]);
});

exchangeTest('nor is one that is followed by a short one', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, GET + LAST);
  const upstream = rig.upstream();
  sayLong(rig, upstream);
  rig.room.until(() => upstream.receive() === 0 && upstream.receivedBytes > GET.length);
  rig.say(upstream, OK);
  rig.room.until(() => rig.room.sessions().every(({ stateName }) => stateName === 'lingering'));
  rig.say(client, '\r\n');
  rig.hear(client, `${LONG}\r\n${BODY}${CLOSING}`);
  rig.expectEnd(client);
  t.equal(client.errno, 0);
});

exchangeTest('a client that is slow to take a long answer is waited for', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, LAST);
  sayLong(rig, rig.upstream());
  rig.room.until(() => rig.room.sessions().every(({ stateName }) => stateName === 'lingering'));
  for (let look = 0; look < 2; look++) {
    client.receive(70_000);
    rig.room.settle();
    rig.room.pass(2100);
    t.equal(rig.room.sessions().length, 1, 'as long as it takes some');
  }
  rig.room.pass(2100);
  t.equal(rig.room.sessions().length, 0, 'not when it takes nothing');
  client.receive();
  rig.expectEnd(client);
  t.equal(client.receivedBytes, LONG.length + 'Connection: close\r\n\r\n'.length + BODY.length);
});

exchangeTest('a client that pipelines is not reset when its answer is the last one', (rig, t) => {
  const { client, upstream } = rig.begin();
  rig.room.isDraining = true;
  rig.say(upstream, OK);
  rig.say(client, GET);
  rig.hear(client, CLOSING);
  rig.expectEnd(client);
  rig.say(client, GET);
  t.equal(client.receive(), 0);
  t.equal(client.errno, 0, 'no reset');
  rig.room.pass(2100);
  t.equal(rig.room.sessions().length, 0, 'and nobody waits for it long');
});

exchangeTest(
  'a client that has asked for the end of a short answer is not waited for',
  (rig, t) => {
    const client = rig.room.client();
    rig.say(client, LAST);
    rig.say(rig.upstream(), OK);
    t.same([rig.room.sessions().length, rig.room.closed('done')], [0, 1]);
    rig.hear(client, CLOSING);
    rig.expectEnd(client);
  },
);

exchangeTest('a client that goes on sending does not have the worker for itself', (rig, t) => {
  const client = rig.room.client();
  rig.say(client, `${GET}nonsense\r\n\r\n`);
  const [connection] = rig.room.sessions() as HttpConnection[];
  rig.say(rig.upstream(), OK);
  t.equal(connection!.stateName, 'lingering');
  const { transport } = connection!;
  let reads = 0;
  const READS = 1000;
  transport.read = (_address, length) => {
    if (reads++ < READS) return length;
    transport.readable = false;
    return Outcome.Blocked;
  };
  client.send(Buffer.from('x'));
  rig.room.until(() => reads > 0);
  t.ok(reads < READS, `${reads} reads in a turn`);
  rig.room.until(() => reads > READS);
  t.equal(rig.room.sessions().length, 1, 'and the rest in later ones');
});
