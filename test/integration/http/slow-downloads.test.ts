// A thousand who download slowly, all at once.
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { sleep, until } from '#test/support/deadline.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { expectCleanExit } from '#test/support/programs/rig.js';
import { payload } from '#test/support/random.js';
import { SlowReaders } from '#test/support/sockets/slow-readers.js';

const KIB = 1024;
/** Ten times what the kernel holds of it on the way. */
const large = payload(1, 4096 * KIB);
const FIRST = 100;
const ALL = 1000;
/** Less than one block as heads are written into, and far less than a turn's worth of a file. */
const BYTES_EACH = 16 * KIB;

t.test('files: a thousand slow downloads at once, flat memory', { timeout: 60_000 }, async (t) => {
  const root = t.testdir();
  writeFileSync(`${root}/large`, large);
  const { headgate } = await startConfigured(t, {
    log: { access: false },
    listeners: { web: { bind: '127.0.0.1:0', http: { routes: [{ files: { root } }] } } },
  });
  const quiet = headgate.openFiles();
  const readers = new SlowReaders(headgate.port, large);
  t.teardown(() => readers.close());
  const open = async (count: number) => {
    while (readers.count < count) {
      readers.ask('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
      if (readers.count % 50 === 0) await sleep(5);
    }
    await until(20_000, 'everybody has something', () => {
      readers.readOnce(KIB);
      return readers.fewestBytes > 0;
    });
  };
  await open(FIRST);
  const before = headgate.residentBytes();
  await open(ALL);
  t.equal(headgate.openFiles().sockets, quiet.sockets + ALL);
  t.ok(headgate.openFiles().others <= quiet.others + 2, 'one descriptor for all, and the root');
  let most = 0;
  await until(40_000, 'everybody has everything', () => {
    most = Math.max(most, headgate.residentBytes());
    readers.readOnce(64 * KIB);
    return readers.fewestBytes === large.length;
  });
  t.equal(readers.receivedBytes, ALL * large.length);
  const each = (most - before) / (ALL - FIRST);
  t.ok(each < BYTES_EACH, `${each} bytes for each answer under way`);
  readers.close();
  await until(5000, 'all connections are closed', () => {
    return headgate.openFiles().sockets === quiet.sockets;
  });
  await expectCleanExit(t, headgate);
});
