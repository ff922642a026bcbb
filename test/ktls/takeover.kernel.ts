import { createKernel, Errno, NativeMemory, Outcome } from '#src/splice/index.js';
import {
  KernelTlsRefusal,
  KernelTlsTransport,
  TlsEnding,
  TlsOption,
  type TlsTransport,
  TlsVersion,
  takeOver,
} from '#src/tls/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { tlsStat } from '#test/support/machine/tls-machine.js';
import { payload } from '#test/support/random.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { clientContext, room, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const kernelUse = { kernel: true };
const { Tls12, Tls13 } = TlsVersion;
const { None, NotOffered } = KernelTlsRefusal;
const memory = new NativeMemory(256 * 1024);
const EVENTS = 0x5;

interface Ends {
  readonly server: TlsTransport;
  readonly client: TlsTransport;
}

/** A handshake of two of ours. @param refused directions that the kernel does not take on the server's side */
function connect(kit: SocketKit, version: TlsVersion, refused: readonly number[] = []): Ends {
  const versions = { minVersion: version, maxVersion: version };
  const contexts = serverContexts({ ...versions, ticketKeys: [Buffer.alloc(80, 5)] }, kernelUse);
  const context = clientContext(versions, kernelUse);
  const pair = new TlsPair(kit, contexts, context);
  if (!pair.shake()) throw new Error('no handshake');
  kit.disown(pair.near);
  kit.disown(pair.far);
  const client = takeOver(pair.client, 'require', false);
  const libc = new ScriptedLibc();
  libc.script('setsockopt', (args, real) =>
    args[1] === TlsOption.SOL_TLS && refused.includes(args[2]!) ? -Errno.ENOENT : real(...args),
  );
  const { kernel } = room;
  Object.assign(room, { kernel: createKernel(libc) });
  const server = takeOver(pair.server, 'auto', false);
  Object.assign(room, { kernel });
  if (server.tx !== (refused.includes(TlsOption.TLS_TX) ? NotOffered : None))
    throw new Error(`tx ${server.tx}`);
  if (server.rx !== (refused.includes(TlsOption.TLS_RX) ? NotOffered : None))
    throw new Error(`rx ${server.rx}`);
  contexts.release();
  context.release();
  return { server: server.transport!, client: client.transport! };
}

/** Sends all of `bytes` from one to the other. @returns what arrived */
function pass(from: TlsTransport, to: TlsTransport, bytes: Buffer): Buffer {
  const chunks: Buffer[] = [];
  let sent = 0;
  let received = 0;
  for (let turn = 0; turn < 5000 && received < bytes.length; turn++) {
    if (sent < bytes.length) {
      const part = Math.min(30_000, bytes.length - sent);
      memory.bytes.set(bytes.subarray(sent, sent + part));
      from.notice(EVENTS);
      const written = from.write(memory.address, part);
      if (written === Outcome.Failed) throw new Error(`write: ${from.errno}`);
      if (written > 0) sent += written;
    }
    to.notice(EVENTS);
    const read = to.read(memory.address, memory.byteLength);
    if (read === Outcome.Failed || read === Outcome.Eof)
      throw new Error(`read: ${read} ${to.errno}`);
    if (read > 0) {
      chunks.push(Buffer.from(memory.bytes.subarray(0, read)));
      received += read;
    } else if (sent === bytes.length) pause(1);
  }
  return Buffer.concat(chunks);
}

/** Reads until there is an outcome other than Blocked. */
function outcomeOf(transport: TlsTransport): number {
  for (let attempt = 0; attempt < 1000; attempt++) {
    transport.notice(EVENTS);
    const result = transport.read(memory.address, memory.byteLength);
    if (result !== Outcome.Blocked) return result;
    pause(1);
  }
  return Outcome.Blocked;
}

const mixes = [
  ['the kernel has both directions', []],
  ['the kernel sends, OpenSSL receives', [TlsOption.TLS_RX]],
  ['OpenSSL sends, the kernel receives', [TlsOption.TLS_TX]],
  ['OpenSSL has both', [TlsOption.TLS_TX, TlsOption.TLS_RX]],
] as const;

for (const version of [Tls12, Tls13]) {
  for (const [what, refused] of mixes) {
    const name = `${what}, TLS ${version === Tls12 ? '1.2' : '1.3'}`;

    socketTest(`takeover: ${name}`, async (t, kit) => {
      const before = tlsStat();
      const { server, client } = connect(kit, version, refused);
      t.equal(server instanceof KernelTlsTransport, refused.length < 2);
      for (const size of [1, 5000, 400_000]) {
        const bytes = payload(size, size);
        t.ok(pass(client, server, bytes).equals(bytes), `${size} bytes in`);
        t.ok(pass(server, client, bytes).equals(bytes), `${size} bytes out`);
      }
      const after = tlsStat();
      t.equal(
        after.TlsTxSw! - before.TlsTxSw!,
        1 + (refused.some((d) => d === TlsOption.TLS_TX) ? 0 : 1),
      );
      t.equal(
        after.TlsRxSw! - before.TlsRxSw!,
        1 + (refused.some((d) => d === TlsOption.TLS_RX) ? 0 : 1),
      );
      t.equal(after.TlsDecryptError, before.TlsDecryptError);

      // Half-closed by the server: the client hears the end and still speaks.
      t.equal(server.shutdownWrite(), 0);
      t.equal(outcomeOf(client), Outcome.Eof);
      t.equal(client.ending, TlsEnding.CloseNotify);
      const last = payload(7, 20_000);
      t.ok(pass(client, server, last).equals(last), 'after our end');
      client.close();
      t.equal(outcomeOf(server), Outcome.Eof);
      t.same([server.ending, server.isTruncated], [TlsEnding.CloseNotify, false]);
      server.close();
    });

    socketTest(`takeover: closed without a word before, ${name}`, async (t, kit) => {
      const { server, client } = connect(kit, version, refused);
      server.close();
      t.equal(outcomeOf(client), Outcome.Eof);
      t.equal(client.ending, TlsEnding.CloseNotify, 'the other side was told');
      client.reset();
    });

    socketTest(`takeover: reset, ${name}`, async (t, kit) => {
      const { server, client } = connect(kit, version, refused);
      client.reset();
      t.equal(outcomeOf(server), Outcome.Failed);
      t.equal(server.errno, Errno.ECONNRESET);
      server.reset();
    });
  }
}

socketTest('takeover: off is OpenSSL’s, and without a module nothing is tried', async (t, kit) => {
  for (const isOff of [true, false]) {
    const contexts = serverContexts({}, { kernel: isOff });
    const context = clientContext();
    const pair = new TlsPair(kit, contexts, context);
    t.ok(pair.shake());
    kit.disown(pair.near);
    kit.disown(pair.far);
    const { Off, NoModule } = KernelTlsRefusal;
    const taken = takeOver(pair.server, isOff ? 'off' : 'auto', false);
    t.same([taken.tx, taken.rx], isOff ? [Off, Off] : [NoModule, NoModule]);
    t.notOk(taken.transport instanceof KernelTlsTransport);
    taken.transport!.close();
    takeOver(pair.client, 'off', false).transport!.close();
    contexts.release();
    context.release();
  }
});
