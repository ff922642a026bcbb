import t from 'tap';
import {
  Handshake,
  HandshakeResult,
  HandshakeState,
  handshakeFailures,
  TlsVersion,
} from '#src/tls/index.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { Random } from '#test/support/random.js';
import { Relay } from '#test/support/sockets/relay.js';
import { SocketKit } from '#test/support/sockets/socket-kit.js';
import { clientContext, room, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';
import { mutate } from './mutation.js';

const RUN_MS = Number(process.env.FUZZ_MS ?? 2500);
const SEED = Random.seed();
const { Waiting, Failed } = HandshakeResult;

/** What clients say first, one with each version. */
function hellos(): Buffer[] {
  return [TlsVersion.Tls12, TlsVersion.Tls13].map((maxVersion) => {
    const kit = new SocketKit();
    const context = clientContext({ maxVersion, alpn: ['h2', 'http/1.1'] });
    const { near, far } = kit.pair();
    const client = Handshake.connect(room, context, near, true, '127.0.0.1', 'x');
    client.advance(0);
    while (far.receive() === 0);
    client.release();
    context.release();
    kit.closeAll();
    return far.received;
  });
}

t.test(`fuzz: what a client says first (SEED=${SEED})`, { timeout: 60_000 }, async (t) => {
  const random = new Random(SEED);
  const seeds = hellos();
  const contexts = serverContexts({ alpn: ['http/1.1'] });
  const before = descriptors();
  const outcomes = new Map<string, number>();
  const endMs = performance.now() + RUN_MS;
  let runs = 0;
  for (; performance.now() < endMs; runs++) {
    const kit = new SocketKit();
    const { near, far } = kit.pair();
    const server = Handshake.accept(room, contexts, near, true);
    const bytes = mutate(random, seeds);
    // In two pieces, so that the second one finds the handshake begun.
    const split = random.oneIn(2) ? bytes.length : random.between(0, bytes.length);
    far.send(bytes.subarray(0, split));
    let result = server.advance(0);
    if (result === Waiting) {
      far.send(bytes.subarray(split));
      result = server.advance(0);
    }
    if (result === Waiting) {
      far.end();
      result = server.advance(0);
      if (result === Waiting) server.expire();
    }
    const { failure } = server;
    if (failure === undefined || !handshakeFailures.includes(failure)) {
      t.fail(`${bytes.toString('base64')} ended as ${failure}`);
    }
    if (server.ssl !== 0 || server.state !== HandshakeState.over) t.fail('something is left');
    outcomes.set(failure!, (outcomes.get(failure!) ?? 0) + 1);
    kit.closeAll();
  }
  t.ok(runs > 50, `${runs} runs`);
  t.ok(outcomes.size > 3, JSON.stringify(Object.fromEntries(outcomes)));
  t.same(descriptors(), before, 'no descriptor is left open');
  contexts.release();
});

t.test(`fuzz: bytes that change on their way (SEED=${SEED})`, { timeout: 60_000 }, async (t) => {
  const random = new Random(SEED);
  const contexts = serverContexts();
  const contextsOf12 = serverContexts({ maxVersion: TlsVersion.Tls12 });
  const context = clientContext();
  const before = descriptors();
  const endMs = performance.now() + RUN_MS;
  let [runs, whole] = [0, 0];
  for (; performance.now() < endMs; runs++) {
    const kit = new SocketKit();
    const relay = new Relay(kit);
    const pair = new TlsPair(kit, random.oneIn(2) ? contexts : contextsOf12, context, {
      pair: relay.ends,
    });
    const spoiledStep = random.between(0, 6);
    for (let step = 0; step < 8; step++) {
      pair.step();
      relay.spoil = step === spoiledStep;
      if (random.oneIn(2)) relay.up(random.between(1, 3000));
      else relay.up();
      relay.down(random.oneIn(2) ? random.between(1, 3000) : 65536);
    }
    for (const { failure } of [pair.server, pair.client]) {
      if (failure !== undefined && !handshakeFailures.includes(failure)) t.fail(failure);
    }
    if (pair.serverResult !== Failed && pair.clientResult !== Failed) whole++;
    pair.release();
    kit.closeAll();
  }
  t.ok(runs > 50, `${runs} runs`);
  t.ok(whole < runs, `${whole} unharmed`);
  t.same(descriptors(), before, 'no descriptor is left open');
  for (const one of [contexts, contextsOf12, context]) one.release();
});
