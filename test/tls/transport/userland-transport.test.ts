import {
  Epoll,
  Errno,
  getOption,
  NativeMemory,
  Outcome,
  Socket,
  SocketOption,
} from '#src/splice/index.js';
import {
  HandshakeResult,
  loadOpenSsl,
  type OpenSsl,
  TlsEnding,
  TlsVersion,
} from '#src/tls/index.js';
import { payload, Random } from '#test/support/random.js';
import { Relay } from '#test/support/sockets/relay.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { TlsEnds } from '#test/support/tls/tls-ends.js';
import { clientContext, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const { IPPROTO_TCP } = SocketOption;
const { Tls12, Tls13 } = TlsVersion;
/** openssl/ssl.h */
const SSL_ERROR_WANT_WRITE = 3;
const versions = [Tls12, Tls13];
const memory = new NativeMemory(1 << 20);
const nameOf = (version: number): string => `TLS 1.${version - 0x301}`;
const only = (version: TlsVersion) => ({ server: { maxVersion: version } });

/** linux/tcp.h: `tcpi_data_segs_out` of struct tcp_info. */
const DATA_SEGMENTS_OUT = 156;

/** Segments with data that a socket has sent. */
function segmentsSent(kit: SocketKit, fd: number): number {
  const info = new NativeMemory(256);
  const length = new NativeMemory(4);
  length.bytes.writeInt32LE(info.byteLength);
  kit.kernel.getsockopt(fd, IPPROTO_TCP, SocketOption.TCP_INFO, info.address, length.address);
  return info.bytes.readUInt32LE(DATA_SEGMENTS_OUT);
}

/** What is on its way to a socket, record by record: their lengths on the wire. */
function recordsAt(kit: SocketKit, fd: number): number[] {
  pause(2);
  const length = kit.kernel.recv(fd, memory.address, memory.byteLength, Socket.MSG_PEEK);
  const lengths: number[] = [];
  for (let at = 0; at + 5 <= length; at += 5 + memory.bytes.readUInt16BE(at + 3)) {
    lengths.push(memory.bytes.readUInt16BE(at + 3));
  }
  return lengths;
}

for (const version of versions) {
  socketTest(`userland TLS: a message, and nothing more (${nameOf(version)})`, async (t, kit) => {
    const ends = new TlsEnds(kit, only(version));
    const { server, client } = ends;
    for (let round = 0; round < 5; round++) {
      t.equal(server.readable, false);
      t.equal(ends.write(client, payload(round, 100)), 100);
      t.ok(ends.look(100));
      t.ok(ends.read(server, 1000).equals(payload(round, 100)));
      t.equal(server.readable, false, 'the next record is a new edge, found without asking');
      t.equal(server.read(memory.address, 1000), Outcome.Blocked);
    }
    ends.close();
  });
}

socketTest('userland TLS: a reset that the ticket met is no FIN', async (t, kit) => {
  const contexts = serverContexts({ ticketKeys: [Buffer.alloc(80, 1)] });
  const context = clientContext();
  const pair = new TlsPair(kit, contexts, context);
  contexts.release();
  context.release();
  while (pair.client.advance(0) === HandshakeResult.Waiting) {
    pair.server.advance(0);
    pause(1);
  }
  kit.disown(pair.far);
  const client = pair.client.takeOver();
  memory.bytes.fill('a', 0, 100);
  t.equal(client.write(memory.address, 100), 100);
  client.reset();
  pause(2);
  t.equal(pair.server.advance(0), HandshakeResult.Done, 'OpenSSL does not mind');
  kit.disown(pair.near);
  const server = pair.server.takeOver();
  t.equal(server.read(memory.address, 1000), 100, 'what had come is there');
  t.equal(server.read(memory.address, 1000), Outcome.Failed);
  t.equal(server.errno, Errno.ECONNRESET);
  t.equal(server.ending, TlsEnding.Broken);
  server.reset();
});

socketTest('userland TLS: a write after the end that fails is no bad record', async (t, kit) => {
  const ends = new TlsEnds(kit);
  const { server, client } = ends;
  kit.kernel.shutdown(client.fd, Socket.SHUT_WR);
  t.equal(ends.readAll(server).last, Outcome.Eof);
  client.reset();
  pause(2);
  t.equal(server.write(memory.address, 100), Outcome.Failed);
  t.equal(server.errno, Errno.EPIPE);
  t.equal(server.failure, undefined);
  server.reset();
});

socketTest('userland TLS: what OpenSSL holds is readable without an event', async (t, kit) => {
  const ends = new TlsEnds(kit);
  const { server, client } = ends;
  const sent = payload(1, 40_000);
  t.equal(ends.write(client, sent), sent.length);
  pause(2);
  ends.look(10);
  const chunks: Buffer[] = [];
  while (server.readable) chunks.push(ends.read(server, 999));
  t.ok(Buffer.concat(chunks).equals(sent), `${chunks.length} reads, one event`);
  ends.close();
});

socketTest('userland TLS: several records make one read', async (t, kit) => {
  const ends = new TlsEnds(kit);
  const { server, client } = ends;
  for (let record = 0; record < 10; record++) ends.write(client, payload(record, 50));
  pause(2);
  ends.look(10);
  t.equal(ends.read(server, 10_000).length, 500);
  t.equal(server.readable, false);
  ends.close();
});

for (const use of [{ kernel: false }, { kernel: true }]) {
  const how = use.kernel ? 'one record at a time until the handshake was done' : 'ahead';

  socketTest(`userland TLS: a record split anywhere (read ${how})`, async (t, kit) => {
    const relay = new Relay(kit);
    const ends = new TlsEnds(kit, { use, pair: relay.ends, carry: () => relay.all() });
    const { server, client } = ends;
    // 5 bytes of header, 100 of data, 17 of type and tag; then a second record behind the first.
    for (let split = 1; split < 122; split += 3) {
      ends.write(client, payload(split, 100));
      ends.write(client, payload(split + 1, 70));
      pause(0);
      while (relay.up(split) < 1) pause(1);
      while (!ends.look(10));
      t.same(ends.drain(server).bytes.length, 0, `${split} bytes are no record`);
      relay.all();
      while (!ends.look(10));
      const expected = Buffer.concat([payload(split, 100), payload(split + 1, 70)]);
      let { bytes } = ends.drain(server);
      if (bytes.length < expected.length) {
        bytes = Buffer.concat([bytes, ends.readAll(server, expected.length - bytes.length).bytes]);
      }
      t.ok(bytes.equals(expected), `split at ${split}`);
    }
    ends.close();
  });

  for (const version of versions) {
    socketTest(
      `userland TLS: a stream in any pieces (${nameOf(version)}, read ${how})`,
      async (t, kit) => {
        const seed = Random.seed();
        t.comment(`SEED=${seed}`);
        const random = new Random(seed);
        const relay = new Relay(kit);
        const options = { use, pair: relay.ends, carry: () => relay.all(), ...only(version) };
        const ends = new TlsEnds(kit, options);
        const { server, client } = ends;
        const sent = payload(seed, 600_000);
        const chunks: Buffer[] = [];
        let [at, received, turns] = [0, 0, 0];
        while (received < sent.length && turns++ < 100_000) {
          if (at < sent.length && client.writable) {
            const end = Math.min(sent.length, at + random.between(1, 30_000));
            at += Math.max(0, ends.write(client, sent.subarray(at, end)));
          }
          // Rarely enough for partial records, often enough for several in one read.
          const most = random.oneIn(3) ? random.between(1, 200) : random.between(1, 60_000);
          if (!random.oneIn(4)) relay.up(most);
          if (random.oneIn(3)) continue;
          ends.look();
          // As the pump does: no read without `readable`, and not always until it is false.
          const reads = random.between(1, 4);
          for (let read = 0; read < reads && server.readable; read++) {
            const chunk = ends.read(server, random.between(1, 40_000));
            chunks.push(chunk);
            received += chunk.length;
          }
        }
        t.ok(Buffer.concat(chunks).equals(sent), `${turns} turns`);
        ends.close();
      },
    );
  }
}

for (const version of versions) {
  const options = only(version);

  socketTest(`userland TLS: each direction ends by itself (${nameOf(version)})`, async (t, kit) => {
    const ends = new TlsEnds(kit, options);
    const { server, client } = ends;
    ends.write(client, payload(1, 1000));
    t.equal(client.shutdownWrite(), 0);
    t.equal(client.shutdownWrite(), 0, 'saying it twice changes nothing');
    const heard = ends.readAll(server);
    t.same([heard.bytes.length, heard.last, server.isTruncated], [1000, Outcome.Eof, false]);
    t.equal(server.read(memory.address, 10), Outcome.Eof, 'and so it stays');
    t.equal(ends.write(server, payload(2, 50_000)), 50_000, 'the other direction goes on');
    t.equal(server.shutdownWrite(), 0);
    const answer = ends.readAll(client);
    t.ok(answer.bytes.equals(payload(2, 50_000)));
    t.same([answer.last, client.isTruncated], [Outcome.Eof, false]);
    ends.close();
  });

  socketTest(`userland TLS: close says that it was all (${nameOf(version)})`, async (t, kit) => {
    const ends = new TlsEnds(kit, options);
    const { server, client } = ends;
    ends.write(server, payload(1, 100));
    server.close();
    const { bytes, last } = ends.readAll(client);
    t.same([bytes.length, last, client.isTruncated], [100, Outcome.Eof, false]);
    client.close();
  });

  socketTest(`userland TLS: an end that nobody announced (${nameOf(version)})`, async (t, kit) => {
    const ends = new TlsEnds(kit, options);
    const { server, client } = ends;
    ends.write(client, payload(1, 100));
    kit.kernel.shutdown(client.fd, Socket.SHUT_WR);
    const { bytes, last } = ends.readAll(server);
    t.same([bytes.length, last, server.isTruncated], [100, Outcome.Eof, true]);
    t.equal(ends.write(server, payload(2, 100)), 100, 'who only says nothing more may listen');
    t.equal(ends.readAll(client, 100).bytes.length, 100);
    ends.close();
  });

  socketTest(`userland TLS: an end inside a record (${nameOf(version)})`, async (t, kit) => {
    const relay = new Relay(kit);
    const ends = new TlsEnds(kit, { ...options, pair: relay.ends, carry: () => relay.all() });
    const { server, client } = ends;
    ends.write(client, payload(1, 100));
    ends.write(client, payload(1, 100));
    pause(2);
    relay.up(150);
    relay.cutUp();
    const { bytes, last } = ends.readAll(server);
    t.same([bytes.length, last, server.isTruncated], [100, Outcome.Failed, true]);
    t.same([server.errno, server.ending], [Errno.ECONNRESET, TlsEnding.Truncated]);
    ends.close();
  });

  socketTest(
    `userland TLS: bytes in front of a reset are read (${nameOf(version)})`,
    async (t, kit) => {
      const ends = new TlsEnds(kit, options);
      const { server, client } = ends;
      ends.write(client, payload(1, 100));
      pause(2);
      client.reset();
      const { bytes, last } = ends.readAll(server);
      t.same([bytes.length, last], [100, Outcome.Failed]);
      t.equal(server.errno, Errno.ECONNRESET);
      t.equal(server.read(memory.address, 10), Outcome.Failed, 'and so it stays');
      t.equal(server.write(memory.address, 10), Outcome.Failed);
      t.equal(server.shutdownWrite(), Outcome.Failed);
      server.close();
    },
  );

  socketTest(
    `userland TLS: a record that was tampered with (${nameOf(version)})`,
    async (t, kit) => {
      const relay = new Relay(kit);
      const ends = new TlsEnds(kit, { ...options, pair: relay.ends, carry: () => relay.all() });
      const { server, client } = ends;
      ends.write(client, payload(1, 100));
      pause(2);
      relay.spoil = true;
      relay.up();
      const { bytes, last } = ends.readAll(server);
      t.same([bytes.length, last, server.errno], [0, Outcome.Failed, Errno.EPROTO]);
      t.equal(server.failure, 'bad_record');
      relay.spoil = false;
      relay.all();
      const answer = ends.readAll(client);
      t.same([answer.last, client.failure], [Outcome.Failed, 'alert_received:bad_record_mac']);
      ends.close();
    },
  );
}

socketTest('userland TLS: a blocked write is repeated from anywhere', async (t, kit) => {
  const clock = { nowMs: 1000 };
  const ends = new TlsEnds(kit, { clock });
  const { server, client } = ends;
  const sent = payload(1, 16 << 20);
  const chunks: Buffer[] = [];
  let [at, received, blocked] = [0, 0, 0];
  for (let turn = 0; turn < 10_000 && received < sent.length; turn++) {
    // Now and then it was quiet for so long that records would be small again.
    clock.nowMs += 600;
    if (at < sent.length && server.writable) {
      const place = 1000 * (turn % 9);
      const length = sent.copy(memory.bytes, place, at, Math.min(sent.length, at + 900_000));
      const written = server.write(memory.address + place, length);
      if (written < length) blocked++;
      if (written > 0) at += written;
    }
    if (server.writable && at < sent.length) continue;
    ends.look(1);
    const { bytes } = ends.drain(client);
    chunks.push(bytes);
    received += bytes.length;
  }
  t.ok(Buffer.concat(chunks).equals(sent));
  t.ok(blocked > 0, `blocked ${blocked} times`);
  ends.close();
});

socketTest('userland TLS: fewer bytes than blocked are a bug', async (t, kit) => {
  const ends = new TlsEnds(kit);
  const { server } = ends;
  const block = payload(1, 900_000);
  while (server.writable) ends.write(server, block);
  t.throws(() => server.write(memory.address, 1), RangeError);
  ends.server.reset();
  ends.client.reset();
});

socketTest('userland TLS: the end waits for room in the socket', async (t, kit) => {
  const real = loadOpenSsl();
  let isFull = true;
  const openssl: OpenSsl = {
    ...real,
    SSL_shutdown: (ssl) => (isFull ? -1 : real.SSL_shutdown(ssl)),
    SSL_get_error: (ssl, result) =>
      isFull && result === -1 ? SSL_ERROR_WANT_WRITE : real.SSL_get_error(ssl, result),
  };
  const ends = new TlsEnds(kit, { openssl });
  const { server, client } = ends;
  ends.write(server, payload(1, 100));
  t.equal(server.shutdownWrite(), 0);
  t.same([server.isClosing, server.writable], [true, false]);
  t.equal(ends.readAll(client, 100).last, Outcome.Blocked, 'no end yet');
  server.notice(Epoll.EPOLLIN);
  t.equal(server.isClosing, true, 'there is no room yet');
  isFull = false;
  server.notice(Epoll.EPOLLOUT);
  t.equal(server.isClosing, false);
  t.equal(ends.readAll(client).last, Outcome.Eof);
  t.equal(client.isTruncated, false);
  ends.close();
});

socketTest('userland TLS: records are small until there are many', async (t, kit) => {
  const clock = { nowMs: 1000 };
  const ends = new TlsEnds(kit, { clock });
  const { server, client } = ends;
  // TLS 1.3: the type and the tag come with each (RFC 8446 §5.2).
  const overhead = 1 + 16;
  const write = (length: number): number[] => {
    ends.write(server, payload(1, length));
    const lengths = recordsAt(kit, client.fd).map((length) => length - overhead);
    ends.look(10);
    ends.drain(client);
    return lengths;
  };
  t.same(write(10_000), [4096, 4096, 1808]);
  t.same(write(100), [100]);
  t.same(write(40_000), [4096, 4096, 4096, 4096, 4096, 4096, 15_424]);
  t.same(write(40_000), [16_384, 16_384, 7232], 'a bulk transfer');
  clock.nowMs += 1000;
  t.same(write(20_000), [16_384, 3616]);
  clock.nowMs += 1001;
  t.same(write(10_000), [4096, 4096, 1808], 'it was quiet');
  ends.close();
});

socketTest('userland TLS: many records are few segments', async (t, kit) => {
  const clock = { nowMs: 1000 };
  const ends = new TlsEnds(kit, { clock });
  const { server, client } = ends;
  const corked = () => getOption(kit.kernel, server.fd, IPPROTO_TCP, SocketOption.TCP_CORK);
  const segmentsOf = (length: number): number => {
    const before = segmentsSent(kit, server.fd);
    t.equal(ends.write(server, payload(1, length)), length);
    t.equal(corked(), 0, 'nothing is held back');
    const segments = segmentsSent(kit, server.fd) - before;
    ends.look(10);
    ends.drain(client);
    return segments;
  };
  // Fewer where the last one is still on its way when it is counted.
  t.ok(segmentsOf(40_000) <= 2, 'of seven small records; the first segments are half as long');
  // A segment over loopback has 65,483 bytes, four records and what comes with them 65,624.
  t.ok(segmentsOf(65_536) <= 2, 'of four records');
  t.ok(segmentsOf(16_384) <= 1);
  while (server.writable) ends.write(server, payload(1, 900_000));
  t.equal(corked(), 0, 'also where the socket was full');
  server.reset();
  client.reset();
});

socketTest('userland TLS: it never splices', async (t, kit) => {
  const ends = new TlsEnds(kit);
  t.equal(ends.server.spliceTo(), Outcome.NotSpliceable);
  t.equal(ends.server.spliceFrom(), Outcome.NotSpliceable);
  t.equal(ends.server.errno, Errno.EINVAL);
  ends.close();
});

socketTest('userland TLS: over a unix socket', async (t, kit) => {
  const ends = new TlsEnds(kit, { pair: kit.pair('unix'), isTcp: false });
  const { server, client } = ends;
  ends.write(client, payload(1, 100));
  ends.look(10);
  t.equal(ends.read(server, 1000).length, 100);
  t.equal(server.readable, false, 'it was asked: a short read says nothing here');
  ends.write(client, payload(1, 100));
  t.ok(ends.look(10));
  t.equal(ends.read(server, 1000).length, 100);
  ends.close();
});
