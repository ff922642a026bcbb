// Records of any type with any content, to a connection that a kernel receives for; the kernel is played.
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { NativeMemory, Outcome } from '#src/splice/index.js';
import {
  attachKernelTls,
  DirectionKeys,
  installKey,
  KernelTlsReader,
  KernelTlsTransport,
  KernelTlsWriter,
  kernelSuite,
  RecordType,
  TlsEnding,
  TlsOption,
  tls13Key,
  tlsEndings,
} from '#src/tls/index.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { Random } from '#test/support/random.js';
import { SocketKit } from '#test/support/sockets/socket-kit.js';
import { KernelTlsEmulation } from '#test/support/tls/kernel-tls-emulation.js';

const RUN_MS = Number(process.env.FUZZ_MS ?? 2500);
const SEED = Random.seed();
const RECORDS_MAX = 60;
const memory = new NativeMemory(4096);
const { Alert, Handshake, ApplicationData } = RecordType;

/** Records that a peer might send, to be changed. */
const likely: readonly (readonly [number, readonly number[]])[] = [
  [Alert, [1, 0]],
  [Alert, [1, 90]],
  [Alert, [2, 40]],
  [Handshake, [24, 0, 0, 1, 0]],
  [Handshake, [24, 0, 0, 1, 1]],
  [Handshake, [4, 0, 0, 4, 1, 2, 3, 4]],
  [Handshake, [0, 0, 0, 0]],
  [Handshake, [1, 0, 0, 2, 3, 3]],
  [ApplicationData, [1, 2, 3]],
  [ApplicationData, [4]],
];

function someRecord(random: Random): readonly [number, number[]] {
  const [type, content] = random.pick(likely);
  if (random.oneIn(2)) return [type, [...content]];
  const bytes = random.oneIn(3)
    ? Array.from({ length: random.between(1, 700) }, () => random.between(0, 255))
    : content.map((byte) => (random.oneIn(4) ? random.between(0, 255) : byte));
  return [random.oneIn(6) ? random.between(0, 255) : type, bytes];
}

t.test(`fuzz: records after the handshake (SEED=${SEED})`, { timeout: 60_000 }, async (t) => {
  const random = new Random(SEED);
  const before = descriptors();
  const endings = new Set<number>();
  const endMs = performance.now() + RUN_MS;
  let runs = 0;
  for (; performance.now() < endMs; runs++) {
    const kit = new SocketKit();
    const canRenewKeys = random.oneIn(2);
    const emulation = new KernelTlsEmulation({ canRenewKeys });
    const { kernel } = emulation;
    const { near } = kit.pair();
    const suite = kernelSuite(random.pick([0x1301, 0x1303, 0xc02f]))!;
    attachKernelTls(kernel, near);
    const secret = randomBytes(32);
    for (const direction of [TlsOption.TLS_TX, TlsOption.TLS_RX]) {
      installKey(kernel, near, direction, suite, tls13Key(suite, secret), 0);
    }
    const keys = (): DirectionKeys =>
      new DirectionKeys(suite, canRenewKeys ? Buffer.from(secret) : undefined);
    const writer = new KernelTlsWriter(kernel, near, suite, keys());
    const reader = new KernelTlsReader(kernel, near, suite, random.oneIn(2), keys(), writer);
    const transport = new KernelTlsTransport(kernel, near, reader, writer);
    const records = Array.from({ length: random.between(1, RECORDS_MAX) }, () =>
      someRecord(random),
    );
    let sent = 0;
    for (const [type, content] of records) {
      emulation.inject(near, type, content);
      if (type === ApplicationData) sent += content.length;
    }
    let received = 0;
    let outcome = 1;
    for (let reads = 0; outcome > 0 && reads <= RECORDS_MAX; reads++) {
      outcome = transport.read(memory.address, memory.byteLength);
      received += Math.max(0, outcome);
    }
    endings.add(transport.ending);
    const isOver = outcome === Outcome.Eof || outcome === Outcome.Failed;
    const isTold = isOver === (transport.ending !== TlsEnding.None);
    const isAll = isOver || received === sent;
    if (!isTold || !isAll || outcome > 0 || tlsEndings[transport.ending] === undefined) {
      t.fail(`${JSON.stringify(records)} gave ${outcome}, ${transport.ending}, ${received} bytes`);
    }
    // Each record is peeked at and taken; the rest is what an alert and the next keys need.
    const calls = emulation.libc.trace.length;
    if (calls > 20 + 8 * records.length) t.fail(`${calls} calls for ${records.length} records`);
    transport.close();
    kit.disown(near);
    kit.closeAll();
  }
  t.ok(runs > 50, `${runs} runs`);
  t.ok(endings.size >= 5, [...endings].map((ending) => tlsEndings[ending]).join(' '));
  t.same(descriptors(), before, 'no descriptor is left open');
});
