import {
  Errno,
  NativeMemory,
  Outcome,
  Socket,
  SocketOption,
  setOption,
} from '#src/splice/index.js';
import { Alert, AlertLevel, RecordType, TlsEnding } from '#src/tls/index.js';
import { tlsStat } from '#test/support/machine/tls-machine.js';
import { payload } from '#test/support/random.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { emptyPipe, KtlsPair, suiteIds } from '#test/support/tls/ktls-kit.js';

const memory = new NativeMemory(256 * 1024);
/** asm-generic/socket.h */
const SO_SNDBUF = 7;
const { ApplicationData, Handshake } = RecordType;

/** Reads until the transport has nothing more. @returns the bytes, and what it said then */
function drain(pair: KtlsPair, most = memory.byteLength): { bytes: Buffer; outcome: number } {
  const chunks: Buffer[] = [];
  for (let attempt = 0; attempt < 2000; attempt++) {
    const result = pair.transport.read(memory.address, most);
    if (result <= 0) return { bytes: Buffer.concat(chunks), outcome: result };
    chunks.push(Buffer.from(memory.bytes.subarray(0, result)));
  }
  throw new Error('it never stops');
}

/** The same by splice(2). */
function drainBySplice(kit: SocketKit, pair: KtlsPair, pipeBytes = 65536) {
  const chunks: Buffer[] = [];
  const pipe = emptyPipe(kit, pipeBytes);
  for (let attempt = 0; attempt < 2000; attempt++) {
    const result = pair.transport.spliceTo(pipe, 1 << 20);
    if (result <= 0) return { bytes: Buffer.concat(chunks), outcome: result };
    for (let left = result; left > 0; ) {
      const read = kit.kernel.read(pipe.readEnd, memory.address, memory.byteLength);
      if (read <= 0) throw new Error(`${left} bytes are not in the pipe`);
      chunks.push(Buffer.from(memory.bytes.subarray(0, read)));
      left -= read;
    }
    pipe.bytes = 0;
  }
  throw new Error('it never stops');
}

/** Waits until all that the far end has sent is there, and takes the event. */
function arrive(pair: KtlsPair): void {
  for (let attempt = 0; attempt < 500 && pair.farUnacknowledged() > 0; attempt++) pause(1);
  pair.look(5);
}

for (const [name, suiteId] of Object.entries(suiteIds)) {
  socketTest(`kernel TLS transport: bytes both ways (${name})`, async (t, kit) => {
    const before = tlsStat();
    const pair = new KtlsPair(kit, { suiteId, sequence: 258 });
    for (const size of [1, 16_384, 16_385, 200_000]) {
      const bytes = payload(size, size);
      t.equal(pair.far.send(bytes), size);
      arrive(pair);
      const copied = drain(pair);
      t.ok(copied.bytes.equals(bytes), `${size} bytes in, copied`);
      t.equal(copied.outcome, Outcome.Blocked);
      t.equal(pair.transport.readable, false);
      pair.far.send(bytes);
      arrive(pair);
      const spliced = drainBySplice(kit, pair);
      t.ok(spliced.bytes.equals(bytes), `${size} bytes in, spliced`);
      t.equal(spliced.outcome, Outcome.Blocked);

      memory.bytes.set(bytes);
      const seen = pair.far.receivedBytes;
      t.equal(pair.transport.write(memory.address, size), size);
      const pipe = emptyPipe(kit, 1 << 20);
      for (let at = 0; at < size; at += 50_000) {
        const part = Math.min(50_000, size - at);
        kit.kernel.write(pipe.writeEnd, memory.address + at, part);
        pipe.bytes += part;
      }
      for (let attempt = 0; attempt < 100 && pipe.bytes > 0; attempt++) {
        t.ok(pair.transport.spliceFrom(pipe, false) > 0);
      }
      for (let attempt = 0; attempt < 500 && pair.far.receivedBytes < seen + 2 * size; attempt++) {
        if (pair.far.receive() === 0) pause(1);
      }
      const out = pair.far.received.subarray(seen);
      t.ok(out.equals(Buffer.concat([bytes, bytes])), `${size} bytes out, written and spliced`);
    }
    const after = tlsStat();
    t.equal(after.TlsTxSw! - before.TlsTxSw!, 2, 'the kernel has encrypted');
    t.equal(after.TlsRxSw! - before.TlsRxSw!, 2, 'the kernel has decrypted');
    t.equal(after.TlsDecryptError, before.TlsDecryptError);
  });

  socketTest(`kernel TLS transport: records made by hand (${name})`, async (t, kit) => {
    const pair = new KtlsPair(kit, { suiteId, sequence: 1, isByHand: true });
    const bytes = payload(3, 40_000);
    pair.farSeals(ApplicationData, bytes.subarray(0, 16_384), 0);
    pair.farSeals(ApplicationData, bytes.subarray(16_384, 16_385), 100);
    pair.farSeals(ApplicationData, bytes.subarray(16_385, 30_000));
    pair.farSeals(ApplicationData, bytes.subarray(30_000));
    arrive(pair);
    t.ok(drain(pair, 10_000).bytes.equals(bytes));
    memory.bytes.set(bytes);
    t.equal(pair.transport.write(memory.address, 20_000), 20_000);
    pair.transport.close();
    kit.disown(pair.transport.fd);
    for (let attempt = 0; attempt < 200 && !pair.far.isEnded; attempt++) {
      if (pair.far.receive() === 0) pause(1);
    }
    const first = pair.opening.open(pair.far.received)!;
    const second = pair.opening.open(first.rest)!;
    t.ok(Buffer.concat([first.content, second.content]).equals(bytes.subarray(0, 20_000)));
    t.same(pair.opening.open(second.rest), {
      type: RecordType.Alert,
      content: Buffer.from([AlertLevel.Warning, Alert.CloseNotify]),
      rest: Buffer.alloc(0),
    });
  });
}

socketTest('kernel TLS transport: peeked at, read in part, the rest spliced', async (t, kit) => {
  const pair = new KtlsPair(kit);
  const bytes = payload(4, 100_000);
  pair.far.send(bytes);
  arrive(pair);
  const { fd } = pair.transport;
  const peeked = pair.kernel.recv(fd, memory.address, 300, Socket.MSG_PEEK);
  t.ok(memory.bytes.subarray(0, peeked).equals(bytes.subarray(0, peeked)));
  t.equal(pair.transport.read(memory.address, 700), 700);
  t.ok(memory.bytes.subarray(0, 700).equals(bytes.subarray(0, 700)));
  t.ok(drainBySplice(kit, pair).bytes.equals(bytes.subarray(700)));
});

socketTest('kernel TLS transport: several records fill a pipe, none is cut', async (t, kit) => {
  const pair = new KtlsPair(kit);
  const bytes = payload(5, 300_000);
  pair.far.send(bytes);
  arrive(pair);
  const pipe = emptyPipe(kit, 1 << 20);
  const moved = pair.transport.spliceTo(pipe, 1 << 20);
  t.equal(moved, 300_000, 'all of it with one call of ours');
  t.equal(pair.transport.readable, false, 'and known to be all');
  let read = 0;
  const chunks: Buffer[] = [];
  while (read < moved) {
    const result = kit.kernel.read(pipe.readEnd, memory.address, memory.byteLength);
    if (result <= 0) break;
    chunks.push(Buffer.from(memory.bytes.subarray(0, result)));
    read += result;
  }
  t.ok(Buffer.concat(chunks).equals(bytes));
});

socketTest('kernel TLS transport: a pipe that might cut a record is not used', async (t, kit) => {
  // Linux 6.1 loses bytes there: a record of which a part fits is taken for all of it.
  const pair = new KtlsPair(kit);
  const bytes = payload(6, 40_000);
  pair.far.send(bytes);
  arrive(pair);
  for (const pipeBytes of [4096, 16_384]) {
    t.equal(pair.transport.spliceTo(emptyPipe(kit, pipeBytes), 1 << 20), Outcome.NotSpliceable);
  }
  t.ok(drainBySplice(kit, pair, 32_768).bytes.equals(bytes), 'of 32 KiB it is');
});

socketTest('kernel TLS transport: a splice of less than a record loses nothing', async (t, kit) => {
  const pair = new KtlsPair(kit);
  const bytes = payload(7, 50_000);
  pair.far.send(bytes);
  arrive(pair);
  const chunks: Buffer[] = [];
  const pipe = emptyPipe(kit);
  for (let at = 0; at < bytes.length; ) {
    const moved = pair.transport.spliceTo(pipe, Math.min(777, bytes.length - at));
    if (moved <= 0) break;
    at += kit.kernel.read(pipe.readEnd, memory.address, memory.byteLength);
    chunks.push(Buffer.from(memory.bytes.subarray(0, moved)));
    pipe.bytes = 0;
  }
  t.ok(Buffer.concat(chunks).equals(bytes));
});

for (const [how, read] of [
  ['read', (_: SocketKit, pair: KtlsPair) => drain(pair)],
  ['spliced', drainBySplice],
] as const) {
  socketTest(`kernel TLS transport: close_notify behind the last bytes, ${how}`, async (t, kit) => {
    const pair = new KtlsPair(kit);
    const bytes = payload(8, 20_000);
    pair.far.send(bytes);
    pair.farAlerts(Alert.CloseNotify, AlertLevel.Warning);
    pair.far.end();
    arrive(pair);
    const got = read(kit, pair);
    t.ok(got.bytes.equals(bytes));
    t.equal(got.outcome, Outcome.Eof);
    t.equal(pair.transport.ending, TlsEnding.CloseNotify);
    const calls = pair.libc.trace.length;
    t.equal(pair.transport.read(memory.address, 10), Outcome.Eof);
    t.equal(pair.transport.spliceTo(emptyPipe(kit), 10), Outcome.Eof);
    t.equal(pair.transport.readable, false);
    t.equal(pair.libc.trace.length, calls, 'known without a system call');
    memory.bytes.set(bytes);
    t.equal(pair.transport.write(memory.address, 100), 100, 'writing goes on');
  });

  socketTest(`kernel TLS transport: the end without close_notify, ${how}`, async (t, kit) => {
    for (const tail of [0, 3, 4000]) {
      const pair = new KtlsPair(kit, { isByHand: true });
      const bytes = payload(9, 5000);
      pair.farSeals(ApplicationData, bytes);
      // Inside a record: its header, its body.
      pair.far.send(pair.sealing.seal(ApplicationData, bytes).subarray(0, tail));
      pair.far.end();
      arrive(pair);
      const got = read(kit, pair);
      t.ok(got.bytes.equals(bytes));
      t.equal(got.outcome, Outcome.Eof);
      t.equal(pair.transport.ending, TlsEnding.Truncated);
    }
  });

  socketTest(`kernel TLS transport: a fatal alert ends it, ${how}`, async (t, kit) => {
    const pair = new KtlsPair(kit);
    pair.far.send(payload(1, 100));
    pair.farAlerts(Alert.InternalError);
    arrive(pair);
    const got = read(kit, pair);
    t.equal(got.bytes.length, 100);
    t.equal(got.outcome, Outcome.Failed);
    t.same(
      [pair.transport.ending, pair.reader.alert, pair.transport.errno],
      [TlsEnding.PeerAlert, Alert.InternalError, Errno.EPROTO],
    );
    t.equal(read(kit, pair).outcome, Outcome.Failed, 'and stays so');
    pair.transport.close();
    kit.disown(pair.transport.fd);
    t.equal(pair.farReceives(), 'end', 'it is not answered');
  });

  socketTest(`kernel TLS transport: a damaged record is answered, ${how}`, async (t, kit) => {
    const cases = [
      ['bad_record_mac', (record: Buffer) => record.fill(7, 30, 31), Alert.BadRecordMac],
      [
        'record_overflow',
        () => Buffer.from([23, 3, 3, 0xff, 0xff, ...Array(40).fill(1)]),
        Alert.RecordOverflow,
      ],
      ['not TLS', () => Buffer.from('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n'), 0],
    ] as const;
    for (const [name, damage, alert] of cases) {
      const pair = new KtlsPair(kit, { isByHand: true });
      pair.farSeals(ApplicationData, payload(1, 1000));
      pair.far.send(damage(pair.sealing.seal(ApplicationData, payload(1, 1000))));
      arrive(pair);
      const got = read(kit, pair);
      t.equal(got.bytes.length, 1000, name);
      t.equal(got.outcome, Outcome.Failed, name);
      t.equal(pair.transport.ending, TlsEnding.BadRecord, name);
      if (alert !== 0) t.equal(pair.reader.alert, alert, name);
      for (let attempt = 0; attempt < 500 && pair.far.receive() === 0; attempt++) pause(1);
      const answer = pair.opening.open(pair.far.received)!;
      t.same([...answer.content], [AlertLevel.Fatal, pair.reader.alert], name);
    }
  });

  socketTest(`kernel TLS transport: an empty record is not the end, ${how}`, async (t, kit) => {
    for (const suiteId of [0x1301, 0xc02f]) {
      const pair = new KtlsPair(kit, { suiteId, isByHand: true });
      pair.farSeals(ApplicationData, Buffer.alloc(0));
      arrive(pair);
      t.same(read(kit, pair), { bytes: Buffer.alloc(0), outcome: Outcome.Blocked });
      pair.farSeals(ApplicationData, Buffer.from('one'));
      pair.farSeals(ApplicationData, Buffer.alloc(0));
      pair.farSeals(ApplicationData, Buffer.alloc(0));
      pair.farSeals(ApplicationData, Buffer.from('two'));
      arrive(pair);
      const got = read(kit, pair);
      t.equal(got.bytes.toString(), 'onetwo');
      t.equal(got.outcome, Outcome.Blocked);
    }
  });
}

socketTest('kernel TLS transport: warnings pass, a flood of them does not', async (t, kit) => {
  const old = new KtlsPair(kit, { suiteId: 0xc02f });
  old.farAlerts(Alert.UserCanceled, AlertLevel.Warning);
  old.far.send(Buffer.from('on'));
  arrive(old);
  t.equal(drain(old).bytes.toString(), 'on');
  for (let times = 0; times < 40; times++) old.farAlerts(112, AlertLevel.Warning);
  arrive(old);
  t.equal(drain(old).outcome, Outcome.Failed);
  t.equal(old.transport.ending, TlsEnding.UnexpectedMessage);

  const pair = new KtlsPair(kit);
  pair.farAlerts(Alert.UserCanceled, AlertLevel.Warning);
  pair.farAlerts(Alert.CloseNotify, AlertLevel.Warning);
  arrive(pair);
  t.equal(drain(pair).outcome, Outcome.Eof);
  // RFC 8446 §6: the level means nothing.
  const strict = new KtlsPair(kit);
  strict.farAlerts(112, AlertLevel.Warning);
  arrive(strict);
  t.equal(drain(strict).outcome, Outcome.Failed);
  t.equal(strict.reader.alert, 112);
});

socketTest('kernel TLS transport: an upstream’s tickets are passed over', async (t, kit) => {
  const pair = new KtlsPair(kit, { isServer: false });
  const ticket = [4, 0, 2, 0, ...payload(1, 512)];
  for (let at = 0; at < ticket.length; at += 100) {
    pair.farSends(Handshake, ...ticket.slice(at, at + 100));
  }
  pair.farSends(Handshake, 4, 0, 0, 3, 1, 2, 3, 4, 0, 0, 1, 9);
  pair.far.send(Buffer.from('answer'));
  arrive(pair);
  t.equal(drain(pair).bytes.toString(), 'answer');
  t.equal(pair.transport.ending, TlsEnding.None);
});

socketTest('kernel TLS transport: long tickets are no flood, many are', async (t, kit) => {
  const pair = new KtlsPair(kit, { isServer: false });
  for (let times = 0; times < 3; times++) {
    pair.farSends(Handshake, 4, 0, 20_480 >> 8, 20_480 & 0xff);
    for (let part = 0; part < 40; part++) pair.farSends(Handshake, ...payload(1, 512));
  }
  pair.far.send(Buffer.from('answer'));
  arrive(pair);
  t.equal(drain(pair).bytes.toString(), 'answer');
  for (let times = 0; times < 40; times++) pair.farSends(Handshake, 4, 0, 0, 1, 9);
  arrive(pair);
  t.equal(drain(pair).outcome, Outcome.Failed);
  t.equal(pair.transport.ending, TlsEnding.UnexpectedMessage);
});

socketTest('kernel TLS transport: messages out of place end it', async (t, kit) => {
  const cases: readonly [string, number, boolean, number[], number][] = [
    ['a ticket for a server', 0x1301, true, [4, 0, 0, 1, 9], Alert.UnexpectedMessage],
    ['a ClientHello in TLS 1.3', 0x1301, true, [1, 0, 0, 2, 3, 3], Alert.UnexpectedMessage],
    ['renegotiation', 0xc02f, true, [1, 0, 0, 2, 3, 3], Alert.NoRenegotiation],
    ['a long KeyUpdate', 0x1301, true, [24, 0, 0, 2, 0, 0], Alert.DecodeError],
    [
      'a KeyUpdate with more behind it',
      0x1301,
      true,
      [24, 0, 0, 1, 0, 24],
      Alert.UnexpectedMessage,
    ],
    ['a KeyUpdate that asks for 2', 0x1301, true, [24, 0, 0, 1, 2], Alert.DecodeError],
  ];
  for (const [name, suiteId, isServer, content, alert] of cases) {
    const pair = new KtlsPair(kit, { suiteId, isServer });
    pair.farSends(Handshake, ...content);
    arrive(pair);
    t.equal(drain(pair).outcome, Outcome.Failed, name);
    t.equal(pair.reader.alert, alert, name);
    t.same(pair.farReceives(), {
      type: RecordType.Alert,
      content: Buffer.from([AlertLevel.Fatal, alert]),
    });
  }
  const asked = new KtlsPair(kit, { suiteId: 0xc02f, isServer: false });
  asked.farSends(Handshake, 0, 0, 0, 0);
  asked.far.send(Buffer.from('on'));
  arrive(asked);
  t.equal(drain(asked).bytes.toString(), 'on', 'a HelloRequest may be ignored (RFC 5246 §7.4.1.1)');
});

socketTest(
  'kernel TLS transport: our end is an alert and a FIN, reading goes on',
  async (t, kit) => {
    const pair = new KtlsPair(kit);
    memory.bytes.write('last words');
    t.equal(pair.transport.write(memory.address, 10), 10);
    t.equal(pair.transport.shutdownWrite(), 0);
    t.match(pair.farReceives(), { type: ApplicationData, content: Buffer.from('last words') });
    t.match(pair.farReceives(), {
      type: RecordType.Alert,
      content: Buffer.from([AlertLevel.Warning, Alert.CloseNotify]),
    });
    t.equal(pair.farReceives(), 'end');
    pair.far.send(Buffer.from('answer'));
    arrive(pair);
    t.equal(drain(pair).bytes.toString(), 'answer');
    t.equal(pair.transport.write(memory.address, 10), Outcome.Failed);
    t.equal(pair.transport.errno, Errno.EPIPE);
  },
);

for (const [sendBuffer, writeBytes] of [
  [40_000, 16_384],
  [40_000, 65_536],
  [100_000, 200_000],
  [0, 10_007],
] as const) {
  const name = `buffer ${sendBuffer || 'as it is'}, writes of ${writeBytes}`;
  socketTest(`kernel TLS transport: our end overtakes nothing (${name})`, async (t, kit) => {
    // Written until the socket is full, then ended: TCP takes a part of a record only, and what is
    // left of it is in the record layer, which shutdown(2) and close(2) do not ask.
    const pair = new KtlsPair(kit);
    const { transport, far } = pair;
    const { SOL_SOCKET } = SocketOption;
    if (sendBuffer > 0) setOption(kit.kernel, transport.fd, SOL_SOCKET, SO_SNDBUF, sendBuffer);
    let written = 0;
    for (let result = 1; result > 0; written += Math.max(result, 0)) {
      result = transport.write(memory.address, writeBytes);
    }
    t.equal(transport.writable, false);
    t.equal(transport.shutdownWrite(), 0);
    t.equal(transport.isClosing, true);
    for (let attempt = 0; attempt < 3000 && !far.isEnded && far.errno === 0; attempt++) {
      if (far.receive(20_000) === 0) pause(1);
      pair.look();
    }
    t.equal(transport.isClosing, false);
    t.equal(far.receivedBytes, written, 'every byte');
    t.equal(far.errno, Errno.EIO, 'then the alert');
    t.same(pair.farReceives(), {
      type: RecordType.Alert,
      content: Buffer.from([AlertLevel.Warning, Alert.CloseNotify]),
    });
    t.equal(pair.farReceives(), 'end');
  });
}

socketTest(
  'kernel TLS transport: a KeyUpdate ends it where the kernel cannot follow',
  async (t, kit) => {
    for (const hasSecrets of [false, true]) {
      const pair = new KtlsPair(kit, { hasSecrets });
      pair.libc.script('setsockopt', () => -Errno.EBUSY);
      pair.far.send(Buffer.from('before'));
      pair.farSends(Handshake, 24, 0, 0, 1, 1);
      arrive(pair);
      const calls = pair.libc.trace.length;
      const got = drain(pair);
      t.equal(got.bytes.toString(), 'before');
      t.equal(got.outcome, Outcome.Failed);
      t.equal(pair.transport.ending, TlsEnding.KeyUpdate);
      t.ok(pair.libc.trace.length - calls < 10, 'without a busy loop');
      t.same(pair.farReceives(), {
        type: RecordType.Alert,
        content: Buffer.from([AlertLevel.Fatal, Alert.InternalError]),
      });
      t.equal(pair.transport.read(memory.address, 10), Outcome.Failed);
    }
  },
);

socketTest('kernel TLS transport: a key that has served its time is the last', async (t, kit) => {
  const pair = new KtlsPair(kit);
  pair.sending.recordsLeft = 3;
  t.equal(pair.transport.write(memory.address, 20_000), 20_000);
  t.equal(pair.transport.write(memory.address, 1), 1);
  t.equal(pair.transport.write(memory.address, 1), Outcome.Failed);
  t.same([pair.transport.ending, pair.transport.errno], [TlsEnding.KeyWornOut, Errno.EKEYEXPIRED]);
});
