import t from 'tap';
import type { FlowSide } from '#src/proxy/flow/flow-side.js';
import { Tunnel } from '#src/proxy/flow/tunnel.js';
import type { WorkerRoom } from '#src/proxy/room.js';
import type { TlsSide } from '#src/proxy/tls-side.js';
import { BufferPool, Outcome, PUMP_SLOTS, type Transport } from '#src/splice/index.js';

/** A side whose stream is at its end, and that says ours when it is told that there is room. */
class EndedSide implements Transport {
  readonly fd = -1;
  readable = true;
  writable = true;
  errno = 0;
  readonly bulkReadBytes = Number.POSITIVE_INFINITY;
  readonly hasReadAll = false;
  shutdowns = 0;

  constructor(public isClosing: boolean) {}

  read(): number {
    this.readable = false;
    return Outcome.Eof;
  }

  discard(): number {
    return this.read();
  }

  shutdownWrite(): number {
    this.shutdowns++;
    return 0;
  }

  write = (): number => Outcome.Blocked;
  sendFile = (): number => Outcome.NotSpliceable;
  spliceTo = (): number => Outcome.NotSpliceable;
  spliceFrom = (): number => Outcome.NotSpliceable;
  notice(): void {}
  close(): void {}
  reset(): void {}
}

function tunnelOf(client: EndedSide, upstream: EndedSide, tls: TlsSide | undefined): Tunnel {
  const meter = new Float64Array(PUMP_SLOTS);
  const counters = { up: meter, down: meter, secureUp: meter, secureDown: meter };
  const room = { counters, buffers: new BufferPool(1024), clock: { nowMs: 0 } };
  const side = (transport: Transport) => ({ transport, listenAgain: () => {} });
  return new Tunnel(
    room as unknown as WorkerRoom,
    side(client) as unknown as FlowSide,
    side(upstream) as unknown as FlowSide,
    tls,
    undefined,
  );
}

const secure = { kernelRx: false, kernelTx: false } as TlsSide;

t.test('tunnel: both directions over, and closing says the rest', async (t) => {
  const [client, upstream] = [new EndedSide(false), new EndedSide(false)];
  t.equal(tunnelOf(client, upstream, undefined).run(), 'done');
  t.same([client.shutdowns, upstream.shutdowns], [0, 1], 'one system call less');
});

t.test('tunnel: with TLS both ends are said', async (t) => {
  const [client, upstream] = [new EndedSide(false), new EndedSide(false)];
  t.equal(tunnelOf(client, upstream, secure).run(), 'done');
  t.same([client.shutdowns, upstream.shutdowns], [1, 1]);
});

t.test('tunnel: an end that waits for room is waited for', async (t) => {
  for (const waiting of ['client', 'upstream'] as const) {
    const sides = { client: new EndedSide(false), upstream: new EndedSide(false) };
    sides[waiting].isClosing = true;
    const tunnel = tunnelOf(sides.client, sides.upstream, secure);
    t.equal(tunnel.run(), undefined, `the ${waiting} has not been told`);
    t.equal(tunnel.run(), undefined);
    t.same([sides.client.shutdowns, sides.upstream.shutdowns], [1, 1], 'and is told once');
    sides[waiting].isClosing = false;
    t.equal(tunnel.run(), 'done');
  }
});
