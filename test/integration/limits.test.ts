// What happens at the edges: no more file descriptors, too many clients, silence, pipes of one page; and how long a byte takes.
import { spawnSync } from 'node:child_process';
import t, { type Test } from 'tap';
import { ByteStream } from '../support/bytes.js';
import { sleep, until } from '../support/deadline.js';
import {
  findProgram,
  missingProgram,
  missingRoot,
  testWith,
} from '../support/machine/capability.js';
import { echo } from '../support/peers/origin.js';
import { type Peer, passStream } from '../support/peers/peer.js';
import { programPath } from '../support/programs/headgate.js';
import { Program, withoutLoader } from '../support/programs/program.js';
import { Rig } from '../support/programs/rig.js';

const MiB = 1 << 20;
const stream = new ByteStream(7);
const timeout = { timeout: 30_000 };

/** Connects clients that each send one byte, and answers which of them are served before `waitMs` is over. */
async function contend(rig: Rig, count: number, waitMs: number): Promise<Set<Peer>[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => rig.connect()));
  const served = new Set<Peer>();
  const ended = new Set<Peer>();
  for (const client of clients) {
    client
      .send('x')
      .then(() => client.receive(1))
      .then(() => served.add(client))
      .catch(() => ended.add(client));
  }
  await sleep(waitMs);
  return [new Set(clients), served, ended];
}

/** Ends every served client, and then those that are served in their place, until all have been. */
async function serveAll(rig: Rig, [clients, served, ended]: Set<Peer>[]): Promise<void> {
  const left = new Set(clients);
  const serveNext = () => {
    for (const client of served!) {
      if (left.delete(client)) client.end();
    }
    for (const client of ended!) left.delete(client);
    return left.size === 0;
  };
  await until(
    10_000,
    'everybody is served',
    serveNext,
    () => `${left.size} left\n${rig.headgate.context()}`,
  );
}

// Node's loader opens all modules that another one imports at the same time: it is they who need most.
t.test('limits: 192 file descriptors are enough to start and to serve', timeout, async (t) => {
  const rig = await Rig.start(t, { handler: echo, filesMax: 192 });
  const client = await rig.connect();
  await client.send('x');
  t.equal((await rig.within(10_000, 'the echo', client.receive(1))).toString(), 'x');
  client.end();
  await rig.within(10_000, 'FIN', client.receiveEnd());
  await rig.finish(t);
});

t.test('limits: without file descriptors accepting pauses, then goes on', timeout, async (t) => {
  const rig = await Rig.start(t, { handler: echo, filesMax: 192 });
  const contest = await contend(rig, 250, 500);
  const [, served, ended] = contest;
  t.ok(served!.size > 20 && served!.size < 96, `${served!.size} clients served with 192 files`);
  t.equal(ended!.size, 0, 'nobody is turned away');
  const cpu = await rig.headgate.cpuSecondsDuring(1_000);
  t.ok(cpu < 0.2, `${cpu} s of CPU in 1 s of waiting for file descriptors`);
  const warnings = rig.headgate.logs.filter((line) => line.level >= 40).map(({ msg }) => msg);
  const about = (word: string) => warnings.filter((msg) => msg.includes(word)).length;
  t.equal(about('accepting paused'), 1, `one line about it: ${warnings.join('; ')}`);
  t.ok(about('cannot even be tried') <= 1, 'and one about endpoints, where clients came first');
  t.equal(warnings.length, about('accepting paused') + about('cannot even be tried'));
  await serveAll(rig, contest);
  t.equal(ended!.size, 0, 'everybody is served in the end');
  const flows = await rig.headgate.flowsEnded(250);
  t.equal(flows.filter(({ close }) => close === 'done').length, 250);
  await rig.finish(t);
});

t.test('limits: --max-connections holds', timeout, async (t) => {
  const rig = await Rig.start(t, { handler: echo, args: ['--max-connections', '10'] });
  for (let round = 0; round < 2; round++) {
    const contest = await contend(rig, 30, 300);
    t.equal(contest[1]!.size, 10, 'ten are served at first');
    const cpu = await rig.headgate.cpuSecondsDuring(500);
    t.ok(cpu < 0.1, `${cpu} s of CPU in 0.5 s at the limit`);
    await serveAll(rig, contest);
    await rig.expectNoLeak();
  }
  t.ok(rig.origin.openMax <= 10, `${rig.origin.openMax} connections at most`);
  // Those over the limit may wait or be closed; nothing else may happen to them.
  t.ok(rig.headgate.flows().every(({ close }) => close === 'done' || close === 'limit'));
  await rig.finish(t);
});

t.test('limits: a quiet flow is closed after the idle timeout', timeout, async (t) => {
  const rig = await Rig.start(t, { args: ['--idle-timeout', '600ms'] });
  const startMs = performance.now();
  const silent = await rig.pair();
  const spoken = await rig.pair();
  await spoken.client.send('x');
  await spoken.upstream.receive(1);
  const halfClosed = await rig.pair();
  halfClosed.client.end();
  await halfClosed.upstream.receiveEnd();
  for (const { client, upstream } of [silent, spoken]) {
    await rig.within(2_000, "the client's end", client.ending());
    await rig.within(10_000, "the upstream's end", upstream.ending());
  }
  await rig.within(10_000, 'the end of the half-closed flow', halfClosed.client.ending());
  const elapsedMs = performance.now() - startMs;
  t.ok(elapsedMs > 590 && elapsedMs < 5_000, `${elapsedMs.toFixed()} ms`);
  const idle = { close: 'idle_timeout' };
  t.match(await rig.headgate.flowsEnded(3), [idle, idle, idle]);
  for (const { client, upstream } of [silent, spoken, halfClosed]) {
    client.close();
    upstream.close();
  }
  await rig.finish(t);
});

t.test('limits: bytes in either direction keep a flow from being idle', timeout, async (t) => {
  const rig = await Rig.start(t, { args: ['--idle-timeout', '400ms'] });
  const keptUp = await rig.pair();
  const keptDown = await rig.pair();
  const halfClosed = await rig.pair();
  halfClosed.client.end();
  await halfClosed.upstream.receiveEnd();
  const speakers = [keptUp.client, keptDown.upstream, halfClosed.upstream];
  const listeners = [keptUp.upstream, keptDown.client, halfClosed.client];
  for (let tick = 0; tick < 12; tick++) {
    for (const speaker of speakers) await speaker.send('x');
    for (const listener of listeners) await rig.within(10_000, `tick ${tick}`, listener.receive(1));
    await sleep(150);
  }
  for (const [index, speaker] of speakers.entries()) {
    speaker.end();
    await rig.within(300, 'FIN', listeners[index]!.receiveEnd());
    listeners[index]!.end();
  }
  const done = { close: 'done' };
  t.match(await rig.headgate.flowsEnded(3), [done, done, done]);
  await rig.finish(t);
});

t.test('limits: one byte behind bulk is delivered at once', timeout, async (t) => {
  const rig = await Rig.start(t);
  const { client, upstream } = await rig.pair();
  for (const [direction, from, to] of [
    ['down', upstream, client],
    ['up', client, upstream],
  ] as const) {
    // Medians: a machine that is busy with something else delays any one of them. What is held back
    // for want of more to come (SPLICE_F_MORE, Nagle) is 40 or 200 ms late every time.
    const delaysMs: number[] = [];
    for (let round = 0; round < 15; round++) {
      const bulk = from.sendStream(stream, 4 * MiB);
      await Promise.all([bulk, rig.within(5_000, 'the bulk', to.receiveStream(stream, 4 * MiB))]);
      if (round % 3 > 0) await sleep(round * 3);
      for (let byte = 0; byte < 3; byte++) {
        const startMs = performance.now();
        await from.send('x');
        await rig.within(2_000, 'one byte', to.receive(1));
        delaysMs.push(performance.now() - startMs);
      }
    }
    t.ok(median(delaysMs) < 30, `${direction}: ${median(delaysMs).toFixed(1)} ms`);
  }
  client.end();
  upstream.end();
  await Promise.all([client.receiveEnd(), upstream.receiveEnd()]);
  await rig.finish(t);
});

t.test('limits: the last bytes of bulk do not wait for more', timeout, async (t) => {
  const rig = await Rig.start(t);
  const { client, upstream } = await rig.pair();
  const delaysMs: number[] = [];
  // Lengths around the sizes of pages, segments and pipes; nothing follows, so whatever is held back is missing.
  for (let round = 0; round < 60; round++) {
    const length = MiB + [-4097, -4096, -1449, -1, 0, 1, 100, 4095, 65_483, 65_537][round % 10]!;
    const [from, to] = round % 2 === 0 ? [upstream, client] : [client, upstream];
    const sending = from.sendStream(stream, length);
    const receiving = rig.within(3_000, `${length} bytes`, to.receiveStream(stream, length));
    const startMs = performance.now();
    await Promise.all([sending, receiving]);
    delaysMs.push(performance.now() - startMs);
  }
  t.ok(median(delaysMs) < 40, `${median(delaysMs).toFixed(1)} ms for 1 MiB`);
  client.end();
  upstream.end();
  await Promise.all([client.receiveEnd(), upstream.receiveEnd()]);
  await rig.finish(t);
});

const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];

/** Takes all pipe memory its user may have (pipe-user-pages-soft, pipe(7)), in pipes of 1 MiB, and keeps it. */
const pipeHog = `
import fcntl, os, time
pipes = []
F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
def grow(size):
    pipes.append(os.pipe())
    try: fcntl.fcntl(pipes[-1][1], F_SETPIPE_SZ, size)
    except OSError: return False
    return fcntl.fcntl(pipes[-1][1], F_GETPIPE_SZ) >= size
for size in (1 << 20, 1 << 16, 1 << 14):
    while len(pipes) < 400 and grow(size): pass
r, w = os.pipe()
print('hogged, a new pipe has', fcntl.fcntl(w, F_GETPIPE_SZ), flush=True)
time.sleep(60)
`;

function missingUnprivileged(): string | undefined {
  const missing = missingRoot() ?? missingProgram(['setpriv', 'python3'], '/usr/bin');
  if (missing !== undefined) return missing;
  const script = `require('fs').accessSync(${JSON.stringify(programPath)})`;
  const [command, ...rest] = withoutLoader([...nobody, process.execPath, '-e', script]);
  const { status } = spawnSync(command!, rest);
  return status === 0 ? undefined : 'the checkout is not readable to an unprivileged user';
}

testWith(missingUnprivileged(), 'limits: pipes of a page or two are enough', timeout, async (t) => {
  const python = findProgram('python3', '/usr/bin')!;
  const hog = Program.start(t, [...nobody, python, '-c', pipeHog], 'SIGKILL');
  const [, size] = await hog.output(/hogged, a new pipe has (\d+)/, 5_000);
  t.ok(Number(size) < 65_536, `a new pipe has ${size} bytes`);
  await exactTransfers(t, await Rig.start(t, { prefix: nobody }));
});

async function exactTransfers(t: Test, rig: Rig): Promise<void> {
  const length = 32 * MiB;
  for (let round = 0; round < 2; round++) {
    const { client, upstream } = await rig.pair();
    const transfers = Promise.all([
      passStream(client, upstream, stream, length),
      passStream(upstream, client, stream, length),
    ]);
    await rig.within(15_000, 'both directions', transfers);
  }
  const flow = { bytes_up: length, bytes_down: length, close: 'done' };
  t.match(await rig.headgate.flowsEnded(2), [flow, flow]);
  await rig.finish(t);
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1]!;
}
