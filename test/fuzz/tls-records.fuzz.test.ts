// What comes after the handshake and is not what was sent: bits that flip, records from elsewhere, ends anywhere.
import t from 'tap';
import { NativeMemory, Outcome } from '#src/splice/index.js';
import { loadOpenSsl, TlsEnding, TlsVersion, type UserlandTlsTransport } from '#src/tls/index.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { Random } from '#test/support/random.js';
import { pause, SocketKit } from '#test/support/sockets/socket-kit.js';
import { clientContext, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const RUN_MS = Number(process.env.FUZZ_MS ?? 2500);
const SEED = Random.seed();
const memory = new NativeMemory(65536);
const EVENTS = 0x2005;

/** Bytes between two ends, as somebody on the way would change them. */
function change(random: Random, bytes: Buffer): Buffer {
  const at = random.between(0, bytes.length);
  const noise = Buffer.from(
    Array.from({ length: random.between(1, 40) }, () => random.between(0, 256)),
  );
  switch (random.between(0, 6)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at]! ^= 1 << random.between(0, 8);
      return flipped;
    }
    case 1:
      return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return bytes.subarray(at);
    case 4:
      return Buffer.concat([bytes, bytes.subarray(at)]);
    default: {
      // A record with a header that is right: of any type, an alert or a change of cipher.
      const header = Buffer.from([random.between(20, 25), 3, 3, 0, noise.length]);
      return Buffer.concat([header, noise, bytes]);
    }
  }
}

/** Reads all there is, and compares. @returns false when it is not what was sent */
function readsWhatWasSent(reader: UserlandTlsTransport, sent: Buffer, got: { bytes: number }) {
  for (let turn = 0; turn < 200; turn++) {
    reader.notice(EVENTS);
    const read = reader.read(memory.address, memory.byteLength);
    if (read === Outcome.Eof || read === Outcome.Failed) return true;
    if (read <= 0) return true;
    const part = memory.bytes.subarray(0, read);
    if (!part.equals(sent.subarray(got.bytes, got.bytes + read))) return false;
    got.bytes += read;
  }
  return false;
}

for (const version of [TlsVersion.Tls12, TlsVersion.Tls13]) {
  const name = `TLS 1.${version - 0x301}`;
  t.test(`fuzz: ${name} records on their way (SEED=${SEED})`, { timeout: 60_000 }, async (t) => {
    const random = new Random(SEED);
    const contexts = serverContexts({ ticketKeys: [Buffer.alloc(80, 1)] });
    const context = clientContext({ maxVersion: version });
    const before = descriptors();
    const endings = new Map<string, number>();
    const endMs = performance.now() + RUN_MS;
    const names = Object.entries(TlsEnding);
    let runs = 0;
    for (; performance.now() < endMs; runs++) {
      const kit = new SocketKit();
      // The client's records are caught in another socket, and changed before they go on.
      const outer = kit.pair();
      const inner = kit.pair();
      const pair = new TlsPair(kit, contexts, context, {
        pair: { near: outer.near, far: { fd: inner.near } },
      });
      const carry = (change?: (bytes: Buffer) => Buffer) => {
        const known = inner.far.received.length;
        while (inner.far.receive() > 0);
        const fresh = inner.far.received.subarray(known);
        if (fresh.length > 0) outer.far.send(change?.(fresh) ?? fresh);
        const knownBack = outer.far.received.length;
        while (outer.far.receive() > 0);
        const back = outer.far.received.subarray(knownBack);
        if (back.length > 0) inner.far.send(back);
      };
      for (let step = 0; step < 12; step++) {
        pair.step();
        carry();
      }
      const { server, client } = pair.takeOver();
      const sent = Buffer.from(
        Array.from({ length: random.between(1, 3000) }, () => random.between(0, 256)),
      );
      const got = { bytes: 0 };
      sent.copy(memory.bytes);
      client.write(memory.address, sent.length);
      if (random.oneIn(3)) client.shutdownWrite();
      carry((bytes) => change(random, bytes));
      if (random.oneIn(2)) outer.far.end();
      pause(0);
      if (!readsWhatWasSent(server, sent, got)) t.fail('it has read what nobody sent');
      const ending = names.find(([, value]) => value === server.ending)![0];
      endings.set(ending, (endings.get(ending) ?? 0) + 1);
      if (random.oneIn(2)) server.write(memory.address, 10);
      if (random.oneIn(2)) server.shutdownWrite();
      carry();
      client.notice(EVENTS);
      client.read(memory.address, 100);
      if (random.oneIn(2)) server.close();
      else server.reset();
      client.close();
      kit.closeAll();
      if (loadOpenSsl().ERR_peek_error() !== 0) t.fail('an error is left behind');
    }
    t.ok(runs > 30, `${runs} runs`);
    t.ok(endings.has('BadRecord'), JSON.stringify(Object.fromEntries(endings)));
    t.same(descriptors(), before, 'no descriptor is left open');
    contexts.release();
    context.release();
  });
}
