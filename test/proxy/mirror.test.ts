import type { Test } from 'tap';
import { type MirrorCut, mirrorCuts } from '#src/proxy/index.js';
import {
  Errno,
  localAddress,
  openListener,
  PumpSlot,
  Sockaddr,
  type SocketAddress,
  type SyscallName,
} from '#src/splice/index.js';
import { payload, Random } from '#test/support/random.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { nothingLeft, type RoomOptions, TestRoom } from '#test/support/worker/worker-room.js';

/** A room whose connections are mirrored, and what came of a connection that was made in it. */
class MirrorRig {
  readonly room: TestRoom;
  client!: RawPeer;
  upstream!: RawPeer;
  shadow!: RawPeer;

  constructor(kit: SocketKit, options: RoomOptions = {}) {
    this.room = new TestRoom(kit, { mirror: {}, logsAccess: true, ...options });
  }

  /** A connection with its two ends; without `hasShadow` nobody is taken from the shadow's queue. */
  connect(hasShadow = true): this {
    const { client, upstream } = this.room.tunnel();
    this.client = client;
    this.upstream = upstream;
    if (hasShadow) this.shadow = this.room.shadowPeer();
    return this;
  }

  /** Sends everything; whoever is to listen does, until the upstream has it. */
  send(bytes: Buffer, listensToo = true): void {
    const { room, client, upstream, shadow } = this;
    const expected = upstream.receivedBytes + bytes.length;
    let sent = 0;
    room.until(() => {
      sent += client.send(bytes.subarray(sent));
      upstream.receive();
      if (listensToo) shadow.receive();
      return upstream.receivedBytes === expected;
    });
  }

  awaitShadow(byteLength: number): void {
    this.room.until(() => {
      this.shadow.receive();
      return this.shadow.receivedBytes >= byteLength;
    });
  }

  /** Ends the connection from both sides. */
  end(): void {
    const { room, client, upstream } = this;
    client.end();
    upstream.end();
    room.until(() => room.flowsEnded === 1);
  }

  cuts(): Partial<Record<MirrorCut, number>> {
    const counts = mirrorCuts.map((reason) => [reason, this.room.mirrorCut(reason)] as const);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }

  finish(t: Test): void {
    t.same(this.room.finish(), nothingLeft);
  }
}

const whole = payload(1, 1_500_000);

for (const family of ['inet', 'unix'] as const) {
  socketTest(
    `mirror: the shadow has what the upstream has, and its FIN (${family})`,
    async (t, kit) => {
      const seed = Random.seed();
      const random = new Random(seed);
      const rig = new MirrorRig(kit, { family }).connect();
      for (let at = 0; at < whole.length; ) {
        const piece = random.between(1, random.oneIn(3) ? 60_000 : 900);
        rig.send(whole.subarray(at, at + piece));
        at += piece;
      }
      const { room, client, upstream, shadow } = rig;
      client.end();
      room.until(() => shadow.receive() === 0 && shadow.isEnded);
      t.ok(upstream.received.equals(whole), `seed ${seed}`);
      t.ok(shadow.received.equals(whole), `seed ${seed}`);
      t.equal(rig.room.flowsEnded, 0, 'half closed: the upstream may go on for long');
      upstream.send(payload(2, 5000));
      room.until(() => client.receive() === 0 && client.receivedBytes === 5000);
      shadow.end();
      upstream.end();
      room.until(() => room.flowsEnded === 1 && room.shadows.size === 0);
      t.same(rig.cuts(), {});
      t.equal(room.counters.mirroredOf(0), 1);
      const [teed, copied] = [room.count('mirror_teed_bytes'), room.count('mirror_copied_bytes')];
      t.equal(teed + copied, whole.length);
      t.ok(teed > 100_000 && copied > 1000, 'by either path');
      const line = room.lines.find(({ msg }) => msg === 'flow')!;
      t.match(line.mirror, { upstream: 'shadow', bytes: whole.length });
      rig.finish(t);
    },
  );
}

socketTest('mirror: the answers of a shadow are dropped, as many as there are', async (t, kit) => {
  const rig = new MirrorRig(kit).connect();
  const { room, client, shadow, upstream } = rig;
  let sent = 0;
  room.until(() => {
    sent += shadow.send(whole);
    return sent > 30_000_000;
  });
  rig.send(payload(3, 1000));
  t.equal(client.receive(), 0);
  shadow.end();
  rig.send(payload(4, 200_000));
  t.ok(upstream.received.equals(Buffer.concat([payload(3, 1000), payload(4, 200_000)])));
  client.end();
  room.until(() => shadow.receive() === 0 && shadow.isEnded);
  t.equal(shadow.receivedBytes, 201_000, 'one that said its FIN early gets the rest all the same');
  upstream.end();
  room.until(() => room.flowsEnded === 1 && room.shadows.size === 0);
  t.same(rig.cuts(), {});
  rig.finish(t);
});

const SO_RCVLOWAT = 18;
const MSG_TRUNC = 0x20;

for (const [name, isRefused] of [
  ['are no event each', false],
  ['are dropped one by one where they cannot wait', true],
] as const) {
  socketTest(`mirror: small answers of a shadow ${name}`, async (t, kit) => {
    const rig = new MirrorRig(kit);
    const { room } = rig;
    if (isRefused) {
      room.libc.script('setsockopt', (args, real) =>
        args[2] === SO_RCVLOWAT ? -Errno.EINVAL : real(...args),
      );
    }
    rig.connect();
    room.until(() => room.libc.trace.some(({ args }) => args[2] === SO_RCVLOWAT));
    const drops = () => room.libc.trace.filter(({ args }) => args[3] === MSG_TRUNC).length;
    const before = drops();
    for (let question = 0; question < 80; question++) {
      rig.send(payload(question, 100));
      rig.shadow.send(payload(question, 200));
      room.settle(1);
    }
    if (isRefused) t.ok(drops() - before >= 40, `${drops() - before} calls`);
    else t.equal(drops(), before, 'none of 16,000 bytes');
    let sent = 0;
    room.until(() => {
      sent += rig.shadow.send(whole);
      return sent > 20_000_000;
    });
    t.ok(drops() > before, 'many are');
    rig.shadow.send(payload(1, 10));
    rig.end();
    room.until(() => rig.shadow.receive() === 0 && rig.shadow.isEnded);
    rig.shadow.end();
    room.until(() => room.shadows.size === 0);
    t.same(rig.cuts(), {});
    rig.finish(t);
  });
}

socketTest('mirror: a dead shadow', async (t, kit) => {
  const dead = kit.listener();
  kit.close(dead.fd);
  const rig = new MirrorRig(kit, { shadowAddress: dead.address }).connect(false);
  rig.send(whole, false);
  t.ok(rig.upstream.received.equals(whole));
  rig.end();
  t.same(rig.cuts(), { unconnected: 1 });
  rig.finish(t);
});

/** An address whose queue is full: SYNs are dropped. */
function unreachable(kit: SocketKit): SocketAddress {
  const anywhere = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
  const options = { backlog: 0, reusePort: false, ipv6Only: true };
  const address = localAddress(kit.kernel, kit.own(openListener(kit.kernel, anywhere, options)));
  for (let filler = 0; filler < 4; filler++) kit.connect(address);
  return address;
}

socketTest('mirror: shadows that wait leave pipes to those who are mirrored', async (t, kit) => {
  const rig = new MirrorRig(kit, { shadowAddress: unreachable(kit) });
  const { room } = rig;
  // The room has sixteen pipes.
  for (let flow = 0; flow < 20; flow++) {
    rig.connect(false);
    rig.send(payload(flow, 1000), false);
  }
  t.equal(room.pipes.gauges.inUse, 8);
  t.same(rig.cuts(), { no_pipe: 12 });
  rig.connect(false);
  rig.send(whole, false);
  t.ok(rig.upstream.received.equals(whole));
  const { up } = room.counters;
  t.ok(up[PumpSlot.SpliceBytes]! > 1_000_000);
  t.equal(up[PumpSlot.NoPipe], 0);
  for (const session of room.sessions()) session.terminate('stopped');
  room.pass(1100);
  rig.finish(t);
});

socketTest('mirror: a shadow that cannot be reached holds nothing up', async (t, kit) => {
  const rig = new MirrorRig(kit, { shadowAddress: unreachable(kit) });
  const { room } = rig;
  rig.connect(false);
  rig.send(payload(5, 100_000), false);
  t.ok(rig.upstream.received.equals(payload(5, 100_000)));
  t.same(rig.cuts(), {}, 'it may still come');
  t.equal(room.shadows.size, 1);
  rig.end();
  room.pass(1100);
  t.same(rig.cuts(), { unconnected: 1 });
  t.equal(room.shadows.size, 0);
  rig.finish(t);
});

socketTest('mirror: bytes wait for a shadow that is slow to connect', async (t, kit) => {
  const rig = new MirrorRig(kit, { mirror: { bufferBytes: 4_000_000 } });
  const { room } = rig;
  let connects = 0;
  room.libc.script('connect', (args, real) => (++connects === 1 ? -Errno.EAGAIN : real(...args)));
  rig.connect(false);
  const bytes = payload(6, 200_000);
  rig.send(bytes, false);
  rig.client.end();
  room.settle();
  room.pass(100);
  const shadow = room.shadowPeer();
  room.until(() => shadow.receive() === 0 && shadow.isEnded);
  t.ok(shadow.received.equals(bytes));
  shadow.end();
  rig.end();
  t.same(rig.cuts(), {});
  rig.finish(t);
});

for (const size of [700, 60_000]) {
  socketTest(`mirror: a shadow that is stuck is cut off, pieces of ${size}`, async (t, kit) => {
    const rig = new MirrorRig(kit, { mirror: { bufferBytes: 100_000 } }).connect();
    const { room, shadow } = rig;
    const bytes = payload(7, 20_000_000);
    let at = 0;
    for (; at < bytes.length && room.shadows.size > 0; at += size) {
      rig.send(bytes.subarray(at, at + size), false);
    }
    t.same(rig.cuts(), { full: 1 });
    rig.send(bytes.subarray(at, at + 100_000), false);
    t.ok(rig.upstream.received.equals(bytes.subarray(0, at + 100_000)), 'the upstream has all');
    while (shadow.receive() > 0);
    t.equal(shadow.errno, Errno.ECONNRESET, 'no end that could be taken for the whole');
    t.ok(shadow.received.equals(bytes.subarray(0, shadow.receivedBytes)), 'and no gap before it');
    rig.end();
    rig.finish(t);
  });
}

socketTest('mirror: a slow shadow gets everything while there is room', async (t, kit) => {
  const rig = new MirrorRig(kit, { mirror: { bufferBytes: 600_000 } }).connect();
  const { room, shadow } = rig;
  const bytes = payload(8, 3_000_000);
  for (let at = 0; at < bytes.length; at += 20_000) {
    rig.send(bytes.subarray(at, at + 20_000), false);
    shadow.receive(15_000);
    if (at % 500_000 === 0) rig.awaitShadow(at);
  }
  rig.end();
  room.until(() => shadow.receive() === 0 && shadow.isEnded);
  t.ok(shadow.received.equals(bytes));
  t.same(rig.cuts(), {});
  shadow.end();
  room.until(() => room.shadows.size === 0);
  rig.finish(t);
});

socketTest('mirror: a shadow that breaks', async (t, kit) => {
  for (const mode of ['reset', 'close'] as const) {
    const rig = new MirrorRig(kit).connect();
    const { room, shadow } = rig;
    rig.send(payload(9, 50_000));
    if (mode === 'reset') shadow.reset();
    else shadow.close();
    room.settle();
    rig.send(payload(10, 500_000), false);
    rig.room.settle();
    t.equal(rig.upstream.receivedBytes, 550_000);
    t.same(rig.cuts(), { reset: 1 }, mode);
    rig.end();
    rig.finish(t);
  }
});

socketTest('mirror: after the flow a shadow has its time, and no more', async (t, kit) => {
  const rig = new MirrorRig(kit).connect();
  const { room, shadow } = rig;
  rig.send(payload(11, 1000));
  rig.end();
  room.until(() => shadow.receive() === 0 && shadow.isEnded);
  t.equal(room.shadows.size, 1, 'it may still answer');
  room.pass(900);
  t.equal(room.shadows.size, 1);
  room.pass(200);
  t.equal(room.shadows.size, 0);
  t.same(rig.cuts(), {}, 'it had everything');
  rig.finish(t);
});

socketTest('mirror: what a shadow has not taken by then is lost', async (t, kit) => {
  const rig = new MirrorRig(kit, { mirror: { bufferBytes: 4_000_000 } });
  const { room } = rig;
  // Its socket takes nothing.
  room.libc.script('send', (args, real) => (args[0] === shadowFd ? -Errno.EAGAIN : real(...args)));
  room.libc.script('splice', (args, real) =>
    args[2] === shadowFd ? -Errno.EAGAIN : real(...args),
  );
  let shadowFd = -1;
  room.libc.script('connect', (args, real) => {
    if (shadowFd < 0) shadowFd = args[0]!;
    return real(...args);
  });
  rig.connect();
  rig.send(payload(12, 60_000));
  rig.end();
  t.equal(room.shadows.size, 1);
  room.pass(1100);
  t.same(rig.cuts(), { timeout: 1 });
  while (rig.shadow.receive() > 0);
  t.equal(rig.shadow.errno, Errno.ECONNRESET);
  rig.finish(t);
});

socketTest('mirror: a client that breaks off breaks off there, too', async (t, kit) => {
  const rig = new MirrorRig(kit).connect();
  const { room, client, shadow } = rig;
  rig.send(payload(13, 5000));
  client.reset();
  room.until(() => room.flowsEnded === 1);
  while (shadow.receive() > 0);
  t.equal(shadow.errno, Errno.ECONNRESET);
  t.same(rig.cuts(), {}, 'which is not the shadow’s doing');
  t.equal(room.shadows.size, 0);
  rig.finish(t);
});

socketTest('mirror: an upstream that cannot be connected to leaves no shadow', async (t, kit) => {
  const dead = kit.listener();
  kit.close(dead.fd);
  const room = new TestRoom(kit, { mirror: {}, endpoints: [dead.address] });
  room.client();
  room.until(() => room.flowsEnded === 1);
  t.equal(room.shadows.size, 0);
  t.same(room.finish(), nothingLeft);
});

socketTest('mirror: a sample is as large as it is said to be', async (t, kit) => {
  for (const sample of [0, 0.1, 0.5]) {
    const room = new TestRoom(kit, { mirror: { sample } });
    for (let flow = 0; flow < 100; flow++) {
      const { client, upstream } = room.tunnel();
      client.close();
      upstream.close();
      room.until(() => room.flowsEnded === flow + 1);
    }
    const mirrored = room.counters.mirroredOf(0);
    t.ok(Math.abs(mirrored - 100 * sample) <= (sample === 0 ? 0 : 2), `${sample}: ${mirrored}`);
    t.same(room.finish(), nothingLeft);
  }
});

socketTest('mirror: a bug of ours in it costs the flow nothing', async (t, kit) => {
  const rig = new MirrorRig(kit).connect();
  const { room, upstream } = rig;
  rig.send(payload(16, 100));
  room.libc.script('tee', () => {
    throw new Error('a bug');
  });
  rig.send(payload(17, 300_000), false);
  t.same(rig.cuts(), { failed: 1 });
  t.equal(room.count('exceptions'), 1);
  t.equal(room.shadows.size, 0);
  rig.send(payload(18, 300_000), false);
  const all = [payload(16, 100), payload(17, 300_000), payload(18, 300_000)];
  t.ok(upstream.received.equals(Buffer.concat(all)));
  rig.end();
  t.equal(room.closed('done'), 1);
  rig.finish(t);
});

socketTest('mirror: no more at a time than may be', async (t, kit) => {
  const rig = new MirrorRig(kit, { mirror: { concurrentMax: 2 } });
  const { room } = rig;
  for (let flow = 0; flow < 5; flow++) room.tunnel();
  t.equal(room.shadows.size, 2);
  t.same(rig.cuts(), { busy: 3 });
  t.equal(room.counters.mirroredOf(0), 2);
  rig.finish(t);
});

socketTest('mirror: a PROXY header is the shadow’s own', async (t, kit) => {
  const rig = new MirrorRig(kit, { sendProxyProtocol: { version: 'v1', tlvs: [], crc32c: false } });
  rig.connect();
  const { room, client, shadow, upstream } = rig;
  client.send(Buffer.alloc(3000, 'A'));
  room.until(() => upstream.receive() === 0 && upstream.receivedBytes > 3000);
  rig.awaitShadow(upstream.receivedBytes);
  const text = shadow.received.toString('latin1');
  t.match(text, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nA{3000}$/);
  t.equal(text, upstream.received.toString('latin1'), 'of the same client');
  rig.end();
  rig.finish(t);
});

const faults: readonly (readonly [SyscallName, readonly (number | 'short')[]])[] = [
  ['tee', [Errno.EAGAIN, Errno.ENOMEM, Errno.EINVAL, 'short']],
  ['write', [Errno.EAGAIN, Errno.ENOMEM, 'short']],
  ['pipe2', [Errno.EMFILE, Errno.ENOMEM]],
  ['socket', [Errno.EMFILE, Errno.ENOBUFS, Errno.EACCES]],
  ['connect', [Errno.ECONNREFUSED, Errno.EAGAIN, Errno.ENETUNREACH]],
];

// Each fault at each call of the kind up to the twelfth: the upstream's bytes are always right, the
// shadow's are all or a beginning.
for (const [name, kinds] of faults) {
  for (const fault of kinds) {
    socketTest(`mirror: ${name} answers ${fault}, at any time`, async (t, kit) => {
      const bytes = payload(15, 250_000);
      for (let nth = 1; nth <= 12; nth++) {
        const rig = new MirrorRig(kit);
        const { room } = rig;
        let seen = 0;
        room.libc.script(name, (args, real) => {
          if (++seen !== nth) return real(...args);
          return fault === 'short' ? real(...args.with(2, Math.ceil(args[2]! / 2))) : -fault;
        });
        const client = room.client();
        room.settle();
        // The connection to the upstream may be the one that failed.
        if (room.flows().length === 0) {
          t.ok(name === 'connect' || name === 'socket');
          t.same(room.finish(), nothingLeft);
          continue;
        }
        room.pass(100);
        const upstream = room.upstream();
        let shadow: RawPeer | undefined;
        const fd = kit.kernel.accept4(room.shadow.fd, 0, 0, 0o4000);
        if (fd >= 0) {
          const { RawPeer: Peer } = await import('#test/support/sockets/raw-peer.js');
          shadow = new Peer(kit, kit.own(fd));
        }
        let sent = 0;
        for (const piece of [300, 40_000, 900, 80_000, 500, 128_300]) {
          const expected = upstream.receivedBytes + piece;
          const end = sent + piece;
          room.until(() => {
            sent += client.send(bytes.subarray(sent, end));
            upstream.receive();
            shadow?.receive();
            return upstream.receivedBytes === expected;
          });
        }
        client.end();
        upstream.end();
        room.until(() => room.flowsEnded === 1);
        if (shadow !== undefined) room.settle();
        shadow?.receive();
        if (!upstream.received.equals(bytes)) t.fail(`call ${nth}: the upstream has other bytes`);
        if (shadow !== undefined) {
          const expected = bytes.subarray(0, shadow.receivedBytes);
          if (!shadow.received.equals(expected)) t.fail(`call ${nth}: the shadow has other bytes`);
          if (shadow.isEnded && shadow.errno === 0 && shadow.receivedBytes < bytes.length) {
            t.fail(`call ${nth}: the shadow was told of an end that is none`);
          }
        }
        t.same(room.finish(), nothingLeft, `call ${nth}`);
      }
    });
  }
}
