import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Kernel,
  Outcome,
  PlainTransport,
  PumpResult,
  type Transport,
} from '#src/splice/index.js';
import { KernelTlsTransport, TlsEnding } from '#src/tls/index.js';
import { payload } from '#test/support/random.js';
import { nothingTaken, PumpRig } from '#test/support/sockets/pump-rig.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { KtlsPair, kernelToKernel, suiteIds } from '#test/support/tls/ktls-kit.js';

const BUFFER = 32 * 1024;

/** A rig of which each side is a kernel TLS connection or a plain one; the source is made first. */
function rigOf(kit: SocketKit, kinds: readonly ('tls' | 'plain')[], pipeBytes = 1 << 20): PumpRig {
  const left = [...kinds];
  const transport = (kernel: Kernel, fd: number, isTcp: boolean, far: RawPeer): Transport =>
    left.shift() === 'tls'
      ? kernelToKernel(kit, kernel, fd, far)
      : new PlainTransport(kernel, fd, isTcp);
  return new PumpRig(kit, { transport, pipeBytes, bufferBytes: BUFFER, pipeMemoryBytes: 4 << 20 });
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

for (const kinds of [
  ['tls', 'plain'],
  ['plain', 'tls'],
  ['tls', 'tls'],
] as const) {
  const name = kinds.join(' → ');

  socketTest(`kernel TLS pump: bulk is spliced, ${name}`, async (t, kit) => {
    for (const pipeBytes of [65_536, 1 << 20]) {
      const rig = rigOf(kit, kinds, pipeBytes);
      const bytes = payload(pipeBytes, 8_000_001);
      rig.transfer(bytes);
      t.equal(digest(rig.receiver.received), digest(bytes));
      t.ok(rig.pump.copiedBytes <= 20 * BUFFER, `${rig.pump.copiedBytes} bytes were copied`);
      t.equal(rig.meterOf('Refused'), 0);
      t.same(rig.finish(), nothingTaken);
    }
  });

  socketTest(`kernel TLS pump: small messages are copied, ${name}`, async (t, kit) => {
    const rig = rigOf(kit, kinds);
    const messages = Array.from({ length: 50 }, (_, index) => payload(index, 1 + index * 30));
    for (const message of messages) {
      rig.transfer(message, rig.receiver.receivedBytes + message.length);
    }
    t.ok(rig.receiver.received.equals(Buffer.concat(messages)));
    t.equal(rig.pump.splicedBytes, 0);
    t.same(rig.finish(), nothingTaken);
  });

  socketTest(
    `kernel TLS pump: records that come one by one are spliced, ${name}`,
    async (t, kit) => {
      const rig = rigOf(kit, kinds);
      for (let record = 0; record < 20; record++) {
        rig.transfer(payload(record, 16_384), (record + 1) * 16_384);
      }
      const expected = kinds[0] === 'tls' ? 18 * 16_384 : 0;
      t.equal(rig.pump.splicedBytes, expected);
      t.same(rig.finish(), nothingTaken);
    },
  );

  socketTest(`kernel TLS pump: a limit ends it to the byte, ${name}`, async (t, kit) => {
    const rig = rigOf(kit, kinds);
    rig.pump.remainingBytes = 1_000_003;
    const bytes = payload(5, 1_200_000);
    t.equal(rig.transfer(bytes, 1_000_003), PumpResult.Ended);
    for (let attempt = 0; attempt < 50 && rig.receiver.receivedBytes < 1_000_003; attempt++) {
      rig.receiver.receive();
      pause(1);
    }
    t.equal(digest(rig.receiver.received), digest(bytes.subarray(0, 1_000_003)));
    t.same(rig.finish(), nothingTaken);
  });

  socketTest(
    `kernel TLS pump: a slow reader gets every byte and the end, ${name}`,
    async (t, kit) => {
      const rig = rigOf(kit, kinds);
      const bytes = payload(6, 3_000_000);
      let sent = 0;
      let isEnded = false;
      let shut = -1;
      for (let turn = 0; turn < 30_000 && rig.receiver.receivedBytes < bytes.length; turn++) {
        sent += sent < bytes.length ? rig.sender.send(bytes.subarray(sent)) : 0;
        if (sent === bytes.length && !isEnded) {
          rig.sender.end();
          isEnded = true;
        }
        const result = rig.turn();
        if (result === PumpResult.Ended && shut !== 0) shut = rig.sink.shutdownWrite();
        rig.receiver.receive(30_000);
      }
      t.equal(digest(rig.receiver.received), digest(bytes));
      t.equal(shut, 0);
      // The far sender has no library: its FIN comes without close_notify.
      if (rig.source instanceof KernelTlsTransport) {
        t.equal(rig.source.ending, TlsEnding.Truncated);
      }
      t.same(rig.finish(), nothingTaken);
    },
  );
}

socketTest('kernel TLS pump: many bytes need few system calls', async (t, kit) => {
  const rig = rigOf(kit, ['tls', 'plain']);
  rig.transfer(payload(7, 100_000));
  const bytes = payload(8, 1 << 20);
  let sent = 0;
  while (sent < bytes.length) {
    const before = rig.receiver.receivedBytes;
    const moved = rig.sender.send(bytes.subarray(sent));
    sent += moved;
    while (rig.receiver.receivedBytes < before + moved) {
      if (rig.receiver.receive() === 0) rig.turn(1);
    }
  }
  const { trace } = rig.libc;
  const calls = trace.filter(({ name, result }) => name === 'splice' && result > 0).length;
  // 64 records and the pipes that took them out again.
  t.ok(calls < 64 * 2, `${calls} splices`);
  t.same(rig.finish(), nothingTaken);
});

for (const name of Object.keys(suiteIds)) {
  socketTest(`kernel TLS: sendfile(2) into it, ${name}`, async (t, kit) => {
    const directory = mkdtempSync(join(tmpdir(), 'headgate-sendfile-'));
    const path = join(directory, 'file');
    const bytes = payload(9, 2_000_003);
    writeFileSync(path, bytes);
    const file = openSync(path, 'r');
    try {
      const pair = new KtlsPair(kit, { suiteId: suiteIds[name]! });
      const { transport, far, libc } = pair;
      let sent = 0;
      for (let attempt = 0; attempt < 5000 && far.receivedBytes < bytes.length; attempt++) {
        const result = transport.sendFile(file, sent, bytes.length - sent);
        if (result > 0) sent += result;
        else if (result !== Outcome.Blocked && sent < bytes.length) throw new Error(`${result}`);
        if (far.receive() === 0) pause(1);
      }
      t.equal(digest(far.received), digest(bytes));
      t.equal(transport.sendFile(file, sent, 1), Outcome.Eof, 'the file has no more');
      t.equal(
        libc.count('send') + libc.count('read') + libc.count('pread'),
        0,
        'no byte came here',
      );
      const recordsMax = pair.suite.cipher.recordsMax;
      if (Number.isFinite(recordsMax)) {
        t.ok(recordsMax - pair.sending.recordsLeft >= sent / 16_384, 'records are counted');
      }
    } finally {
      closeSync(file);
      rmSync(directory, { recursive: true });
    }
  });
}
