// The capture thread, its lanes and its disk, with a proxy around them.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import t from 'tap';
import { Errno } from '#src/splice/index.js';
import { ByteStream } from '#test/support/bytes.js';
import { CaptureRig, chunkBytes, verifyCapture } from '#test/support/capture/capture-rig.js';
import { sleep, until, within } from '#test/support/deadline.js';
import { lastWords } from '#test/support/faults/last-words.js';
import { missingRoot, testWith } from '#test/support/machine/capability.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';
import { Random } from '#test/support/random.js';

const timeout = { timeout: 60_000 };
const MIB = 1024 * 1024;

t.test('captures: both directions, as they were sent', timeout, async (t) => {
  const rig = await CaptureRig.start(t, { workers: 2 });
  const lengths = [1, 100, 40_000, 3 * MIB, 8 * MIB];
  for (const [at, length] of lengths.entries()) await rig.flow(at, length);
  const captures = await rig.ended(lengths.length);
  t.equal(captures.length, lengths.length);
  for (const [at, capture] of captures.entries()) {
    const { head, end } = capture;
    t.equal(capture.state, 'complete', JSON.stringify(end));
    const stream = new ByteStream(at);
    for (const direction of ['client', 'upstream'] as const) {
      t.equal(verifyCapture(capture, direction, stream), lengths[at], `${direction} of ${at}`);
    }
    t.same(chunkBytes(capture), { client: lengths[at], upstream: lengths[at] });
    t.match(head, { format: 1, listener: 'a', protocol: 'tcp', upstream: 'u', directions: 'both' });
    t.match(head.client, /^127\.0\.0\.1:\d+$/);
    t.equal(head.local, rig.supervisor.addresses[0]!.address);
    t.match(end, { client_bytes: lengths[at], upstream_bytes: lengths[at], close: 'done' });
  }
  t.equal(statSync(rig.directory).mode & 0o777, 0o700);
  for (const name of readdirSync(rig.directory)) {
    t.equal(statSync(`${rig.directory}/${name}`).mode & 0o777, 0o600, name);
  }
  await rig.finish();
  const names = rig.logs().filter(({ msg }) => msg === 'flow');
  t.same(
    new Set(names.map(({ capture }) => capture)),
    new Set(captures.map(({ head }) => head.id)),
    'access lines name their captures',
  );
  t.equal(rig.statistics.complete, lengths.length);
  const { totals } = rig.supervisor.statistics();
  t.ok(totals.capture_tee_bytes > 0, 'some of it was spliced');
  t.ok(totals.capture_copy_bytes > 0, 'some of it was copied');
  const sum = 2 * lengths.reduce((total, length) => total + length, 0);
  t.equal(totals.capture_tee_bytes + totals.capture_copy_bytes, sum);
});

t.test('captures: one direction, a part of it, none of it', timeout, async (t) => {
  const rig = await CaptureRig.start(t, { capture: 'directions: client, max_bytes: 100000' });
  await rig.flow(1, 100_000);
  await rig.flow(2, 100_001);
  await rig.flow(3, 5 * MIB);
  const captures = await rig.ended(3);
  t.same(
    captures.map(({ state, end }) => [state, end!.incomplete]),
    [
      ['complete', undefined],
      ['incomplete', 'max_bytes'],
      ['incomplete', 'max_bytes'],
    ],
  );
  for (const [at, capture] of captures.entries()) {
    t.equal(verifyCapture(capture, 'client', new ByteStream(at + 1)), 100_000);
    t.equal(capture.upstreamBytes, 0);
  }
  t.equal(captures[2]!.end!.upstream_bytes, 5 * MIB, 'what passed is known');
  const result = await rig.supervisor.reload(rig.config('sample: 0.000001'));
  t.ok(result.ok);
  for (let flow = 0; flow < 5; flow++) await rig.flow(4, 10);
  await rig.supervisor.reload(rig.config(null));
  await rig.flow(4, 10);
  await rig.finish();
  t.equal((await rig.ended(3)).length, 3, 'no more');
});

t.test('captures: a disk that stands still harms no flow', timeout, async (t) => {
  const rig = await CaptureRig.start(t, {});
  await rig.flow(1, 16 * MIB);
  // Each write takes as long as a whole flow: nearly nothing is taken while it lasts.
  rig.order('slow 1000');
  const slow = rig.flow(2, 32 * MIB);
  await slow;
  rig.order(undefined);
  const [, capture] = await rig.ended(2);
  t.equal(capture!.end!.incomplete, 'buffer_full');
  for (const direction of ['client', 'upstream'] as const) {
    const bytes = verifyCapture(capture!, direction, new ByteStream(2));
    t.ok(bytes < 32 * MIB, `${bytes} bytes, without a gap`);
  }
  t.equal(capture!.end!.client_bytes, 32 * MIB);
  await rig.flow(3, 100);
  t.equal((await rig.ended(3))[2]!.state, 'complete', 'the next one is whole');
  await rig.finish();
  t.equal(rig.statistics.incomplete.buffer_full, 1);
});

for (const [call, errno, reason] of [
  ['pwrite', 28, 'disk_full'],
  ['splice', 28, 'disk_full'],
  ['pwrite', Errno.EIO, 'disk_error'],
  ['splice', Errno.EIO, 'disk_error'],
] as const) {
  t.test(`captures: ${call} fails with ${reason}`, timeout, async (t) => {
    const rig = await CaptureRig.start(t);
    const peer = await rig.connect();
    const stream = new ByteStream(9);
    await Promise.all([peer.sendStream(stream, 5000), peer.receiveStream(stream, 5000)]);
    const has5000 = () => rig.supervisor.statistics().totals.capture_copy_bytes >= 10_000;
    await until(5000, 'the beginning is captured', has5000);
    await until(5000, 'its record has begun', () => rig.stored().length === 1);
    rig.order(`fail ${call} ${errno}`);
    let sent = 5000;
    for (let round = 0; round < 50 && !rig.isObeyed; round++) {
      const moves = [
        peer.sendStream(stream, MIB, undefined, sent),
        peer.receiveStream(stream, MIB, undefined, sent),
      ];
      await within(20_000, 'the flow goes on', Promise.all(moves));
      sent += MIB;
      // The capture thread keeps up, or the flow would be cut before the fault.
      await sleep(10);
    }
    t.ok(rig.isObeyed);
    peer.end();
    await peer.receiveEnd();
    const [capture] = await rig.ended(1);
    t.equal(capture!.end!.incomplete, reason);
    t.equal(capture!.end!.client_bytes, sent);
    verifyCapture(capture!, 'client', stream);
    verifyCapture(capture!, 'upstream', stream);
    await rig.flow(1, MIB);
    t.equal((await rig.ended(2))[1]!.state, 'complete');
    await rig.finish();
    t.match(
      rig.logs().find(({ msg }) => /not captured whole/.test(msg)),
      { level: 40, reason },
    );
  });
}

t.test(
  'captures: a file system that does not splice gets the bytes by copying',
  timeout,
  async (t) => {
    const rig = await CaptureRig.start(t);
    rig.order(`refuse splice ${Errno.EINVAL}`);
    await rig.flow(1, 4 * MIB);
    const [capture] = await rig.ended(1);
    t.equal(capture!.state, 'complete', JSON.stringify(capture!.end));
    t.equal(verifyCapture(capture!, 'client', new ByteStream(1)), 4 * MIB);
    t.equal(verifyCapture(capture!, 'upstream', new ByteStream(1)), 4 * MIB);
    rig.order(undefined);
    await rig.finish();
  },
);

t.test(
  'captures: whatever tee(2) answers, flows are whole and captures are beginnings',
  timeout,
  async (t) => {
    const seed = Random.seed();
    process.env.HEADGATE_TEST_SEED = String(seed);
    const workerEntry = new URL('../../support/faults/tee-faulty-worker.js', import.meta.url);
    const rig = await CaptureRig.start(t, { workerEntry });
    const length = 2 * MIB + 17;
    for (let flow = 0; flow < 20; flow++) await rig.flow(flow, length);
    const captures = await rig.ended(20);
    let whole = 0;
    for (const [at, capture] of captures.entries()) {
      const stream = new ByteStream(at);
      const { client, upstream } = chunkBytes(capture);
      t.equal(verifyCapture(capture, 'client', stream), client);
      t.equal(verifyCapture(capture, 'upstream', stream), upstream);
      const isWhole = client === length && upstream === length;
      t.equal(
        capture.state === 'complete',
        isWhole,
        `${JSON.stringify(capture.end)}, seed ${seed}`,
      );
      if (isWhole) whole++;
      t.equal(capture.end!.client_bytes, length);
    }
    t.comment(`${whole} of 20 are whole, seed ${seed}`);
    await rig.finish();
  },
);

t.test('captures: a dead worker’s are marked, its successor’s are whole', timeout, async (t) => {
  const rig = await CaptureRig.start(t);
  const peers = await Promise.all([rig.connect(), rig.connect()]);
  const stream = new ByteStream(6);
  for (const peer of peers) {
    // Little enough to be copied: who dies looks at what it reads.
    await Promise.all([peer.sendStream(stream, 20_000), peer.receiveStream(stream, 20_000)]);
  }
  await peers[0]!.send(lastWords.sudden);
  for (const peer of peers) await within(10_000, 'a reset', peer.ending());
  await until(15_000, 'it is replaced', () => rig.supervisor.isReady);
  const captures = await rig.ended(2);
  for (const capture of captures) {
    t.equal(capture.end!.incomplete, 'worker_died');
    t.equal(verifyCapture(capture, 'upstream', stream), 20_000);
    t.ok(capture.clientBytes >= 20_000);
  }
  await rig.flow(7, 2 * MIB);
  t.equal((await rig.ended(3))[2]!.state, 'complete');
  await rig.finish();
});

t.test('captures: the capture thread dies and another goes on', timeout, async (t) => {
  const rig = await CaptureRig.start(t);
  const peer = await rig.connect();
  const stream = new ByteStream(8);
  const exchange = (from: number, length: number) =>
    within(
      15_000,
      'the flow goes on',
      Promise.all([
        peer.sendStream(stream, length, undefined, from),
        peer.receiveStream(stream, length, undefined, from),
      ]),
    );
  await exchange(0, 3 * MIB);
  const taken = () => rig.stored().some(({ upstreamBytes }) => upstreamBytes === 3 * MIB);
  await until(10_000, 'so far it is written', taken);
  rig.order('die');
  await until(10_000, 'it dies', () =>
    rig.logs().some(({ msg }) => /^the capture thread died/.test(msg)),
  );
  await exchange(3 * MIB, 3 * MIB);
  await until(10_000, 'it is replaced', () =>
    rig.logs().some(({ msg }) => /was replaced/.test(msg)),
  );
  const [first] = await rig.ended(1);
  t.equal(first!.end!.incomplete, 'interrupted');
  await until(10_000, 'it is counted', () => rig.statistics.incomplete.interrupted === 1);
  verifyCapture(first!, 'client', stream);
  verifyCapture(first!, 'upstream', stream);
  await exchange(6 * MIB, 3 * MIB);
  await rig.flow(9, 2 * MIB);
  const captures = await rig.ended(2);
  t.equal(captures[1]!.state, 'complete');
  t.equal(verifyCapture(captures[1]!, 'upstream', new ByteStream(9)), 2 * MIB);
  peer.close();
  await rig.finish();
});

t.test('captures: reloads while flows go on', timeout, async (t) => {
  const rig = await CaptureRig.start(t, { workers: 2 });
  const peer = await rig.connect();
  const stream = new ByteStream(5);
  for (let round = 0; round < 4; round++) {
    await Promise.all([
      peer.sendStream(stream, MIB, undefined, round * MIB),
      peer.receiveStream(stream, MIB, undefined, round * MIB),
    ]);
    const config = rig.config(round % 2 === 0 ? null : `rotate: { max_flows: ${10 + round} }`);
    t.ok((await rig.supervisor.reload(config)).ok);
  }
  peer.end();
  await peer.receiveEnd();
  const [capture] = await rig.ended(1);
  t.equal(capture!.state, 'complete');
  t.equal(verifyCapture(capture!, 'client', stream), 4 * MIB);
  await rig.finish();
});

t.test(
  'captures: a directory that cannot be made costs nothing but captures',
  timeout,
  async (t) => {
    const directory = `${temporaryDirectory(t)}/file/captures`;
    mkdirSync(directory.replace(/\/file.*/, ''), { recursive: true });
    execFileSync('touch', [directory.replace(/\/captures/, '')]);
    const rig = await CaptureRig.start(t, { directory });
    await rig.flow(1, MIB);
    await rig.flow(2, 10);
    await rig.finish();
    t.match(
      rig.logs().find(({ level }) => level === 40),
      { reason: 'directory', detail: /ENOTDIR/ },
    );
    t.equal(rig.statistics.incomplete.directory, 2, 'both are counted');
    t.equal(rig.statistics.complete, 0);
  },
);

t.test('captures: a disk that never answers holds nobody up', timeout, async (t) => {
  const rig = await CaptureRig.start(t);
  await rig.flow(1, 1000);
  await rig.ended(1);
  rig.order('slow 60000');
  await rig.flow(2, 1000);
  const startMs = performance.now();
  await within(15_000, 'the proxy ends', rig.supervisor.close());
  t.ok(performance.now() - startMs >= 4000, 'the disk had its time');
  t.match(
    rig.logs().find(({ level }) => level === 50),
    { msg: /the disk does not answer/ },
  );
  t.equal(rig.stored().filter(({ end }) => end !== undefined).length, 1);
});

testWith(missingRoot(), 'captures: a full file system', timeout, async (t) => {
  const directory = temporaryDirectory(t);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory], { stdio: 'pipe' });
  } catch {
    t.plan(0, 'file systems cannot be mounted here');
    return;
  }
  t.teardown(() => execFileSync('umount', ['-l', directory]));
  const rig = await CaptureRig.start(t, { directory: `${directory}/d` });
  await rig.flow(1, 64 * 1024);
  await rig.flow(2, 16 * MIB);
  const stream = new ByteStream(2);
  await until(10_000, 'it is counted', () => rig.statistics.incomplete.disk_full! > 0);
  const captures = await rig.ended(1);
  t.equal(captures[0]!.state, 'complete');
  verifyCapture(captures[1]!, 'client', stream);
  verifyCapture(captures[1]!, 'upstream', stream);
  await rig.finish();
});
