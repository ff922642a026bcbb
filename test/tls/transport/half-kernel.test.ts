// Upstreams of TLS 1.3 where one direction is the kernel's, the other one OpenSSL's: their sessions. The kernel is played.
import { NativeMemory, Outcome } from '#src/splice/index.js';
import {
  type ClientContext,
  RecordType,
  TicketOutcome,
  TlsOption,
  type TlsTransport,
  TlsVersion,
  takeOver,
} from '#src/tls/index.js';
import { payload } from '#test/support/random.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { KernelTlsEmulation } from '#test/support/tls/kernel-tls-emulation.js';
import { pass } from '#test/support/tls/tls-message.js';
import { clientContext, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const { TLS_TX, TLS_RX } = TlsOption;
const { Tls13 } = TlsVersion;
const memory = new NativeMemory(64 * 1024);
const EVENTS = 0x5;
const ticketKeys = [Buffer.alloc(80, 3)];

interface Ends {
  readonly client: TlsTransport;
  readonly server: TlsTransport;
  readonly emulation: KernelTlsEmulation;
  readonly isResumed: boolean;
}

/** @param missing the direction that the kernel of the client does not have */
function connect(kit: SocketKit, context: ClientContext, missing: number): Ends {
  const contexts = serverContexts({ minVersion: Tls13, ticketKeys, kernel: 'off' });
  const emulation = new KernelTlsEmulation({ missing });
  const pair = new TlsPair(kit, contexts, context, { kernel: emulation.kernel });
  if (!pair.shake()) throw new Error(`no handshake: ${pair.client.detail} ${pair.server.detail}`);
  kit.disown(pair.near);
  kit.disown(pair.far);
  const { isResumed } = pair.client.session!;
  const taken = takeOver(pair.client, 'auto', false);
  if ((taken.tx === 0) === (taken.rx === 0)) throw new Error('not one direction');
  const server = takeOver(pair.server, 'off', false).transport!;
  contexts.release();
  return { client: taken.transport!, server, emulation, isResumed };
}

for (const [what, missing, outcome] of [
  ['receives', TLS_TX, TicketOutcome.Kept],
  ['sends', TLS_RX, TicketOutcome.NotAwaited],
] as const) {
  for (const isClientFirst of [false, true]) {
    const first = isClientFirst ? 'the proxy' : 'the upstream';
    socketTest(`half kernel: it ${what}, ${first} closes: the next resumes`, async (t, kit) => {
      const context = clientContext({}, { kernel: true });
      for (const isResumed of [false, true, true]) {
        const ends = connect(kit, context, missing);
        const { client, server } = ends;
        t.equal(ends.isResumed, isResumed);
        const bytes = payload(1, 300_000);
        t.ok(pass(client, server, bytes).equals(bytes), 'before the ticket is read');
        t.ok(pass(server, client, bytes).equals(bytes));
        t.ok(pass(client, server, bytes).equals(bytes), 'and behind it');
        t.equal(client.ticketOutcome, outcome);
        const [one, other] = isClientFirst ? [client, server] : [server, client];
        t.equal(one.shutdownWrite(), 0);
        other.notice(EVENTS);
        t.equal(other.read(memory.address, 1), Outcome.Eof);
        one.close();
        other.close();
      }
      context.release();
    });
  }

  socketTest(`half kernel: it ${what}, and the connection is reset`, async (t, kit) => {
    const context = clientContext({}, { kernel: true });
    for (const isResumed of [false, true]) {
      const { client, server, ...ends } = connect(kit, context, missing);
      t.equal(ends.isResumed, isResumed, 'whoever resets has nothing against the session');
      t.equal(pass(server, client, Buffer.from('x')).toString(), 'x');
      client.reset();
      server.reset();
    }
    context.release();
  });
}

socketTest('half kernel: a ticket in the middle of a write that waits', async (t, kit) => {
  const context = clientContext({}, { kernel: true });
  const { client, server } = connect(kit, context, TLS_TX);
  const bytes = payload(2, 32_768);
  bytes.copy(memory.bytes);
  let sent = 0;
  for (;;) {
    const written = client.write(memory.address, bytes.length);
    if (written === Outcome.Blocked) break;
    sent += written;
    // The rest of what a write did not take has to be repeated as it was.
    if (written < bytes.length) {
      bytes.copy(memory.bytes, 0, written);
      t.equal(client.write(memory.address, bytes.length - written), Outcome.Blocked);
      break;
    }
  }
  const rest = sent % bytes.length;
  t.equal(server.write(memory.address, 1), 1, 'what follows the ticket');
  client.notice(0x1);
  const intake = new NativeMemory(16);
  for (let turn = 0; turn < 1000 && client.read(intake.address, 1) !== 1; turn++) {
    pause(1);
    client.notice(0x1);
  }
  t.equal(client.ticketOutcome, TicketOutcome.Kept);
  let received = 0;
  const expected = Buffer.concat(Array(Math.ceil(sent / bytes.length) + 1).fill(bytes));
  const drain = new NativeMemory(64 * 1024);
  let isSame = true;
  const take = () => {
    for (let turn = 0; turn < 200; turn++) {
      server.notice(EVENTS);
      const read = server.read(drain.address, drain.byteLength);
      if (read <= 0) return;
      isSame &&= drain.bytes.subarray(0, read).equals(expected.subarray(received, received + read));
      received += read;
    }
  };
  take();
  bytes.copy(memory.bytes, 0, rest);
  for (let turn = 0, left = bytes.length - rest; turn < 1000 && left > 0; turn++) {
    client.notice(EVENTS);
    const written = client.write(memory.address, left);
    if (written > 0) {
      memory.bytes.copyWithin(0, written, left);
      left -= written;
    } else pause(1);
    take();
  }
  for (let turn = 0; turn < 1000 && received < sent - rest + bytes.length; turn++) {
    take();
    pause(1);
  }
  t.equal(received, sent - rest + bytes.length);
  t.ok(isSame);
  client.close();
  server.close();
  context.release();
});

socketTest('half kernel: a ticket that OpenSSL refuses', async (t, kit) => {
  const context = clientContext({}, { kernel: true });
  const { client, server, emulation } = connect(kit, context, TLS_TX);
  // A lifetime of 0: not to be used (RFC 8446 §4.6.1).
  const content = [4, 0, 0, 15, ...Array(8).fill(0), 1, 7, 0, 1, 9, 0, 0];
  emulation.inject(client.fd, RecordType.Handshake, content);
  client.notice(EVENTS);
  client.read(memory.address, 1);
  const bytes = payload(3, 30_000);
  t.ok(pass(client, server, bytes).equals(bytes));
  t.ok(pass(server, client, bytes).equals(bytes));
  client.close();
  server.close();
  context.release();
});
