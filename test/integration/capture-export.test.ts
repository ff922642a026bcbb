// Exports of captures much larger than the memory they may take, and than the disk. They were not captured here, but written as they would
// have been: sparse, with bytes of a stream now and then.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import t, { type Test } from 'tap';
import {
  type CaptureEnd,
  type CaptureHead,
  chunkLine,
  endLine,
  headLine,
  RECORD_FORMAT,
} from '#src/control/capture/capture-record.js';
import { capturePath } from '#src/control/index.js';
import { ByteStream } from '#test/support/bytes.js';
import { within } from '#test/support/deadline.js';
import {
  findProgram,
  missingProgram,
  missingRoot,
  testWith,
} from '#test/support/machine/capability.js';
import { peakResidentBytes } from '#test/support/machine/proc.js';
import { programPath } from '#test/support/programs/headgate.js';
import { runProgram, withoutLoader } from '#test/support/programs/program.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 60_000 };
const MIB = 1024 * 1024;
const LARGE = 256 * MIB;
/** Beyond what the export of next to nothing takes: less than half of what is exported. */
const MEMORY_BYTES = 96 * MIB;
/** What an upstream sent is said in pieces as they are spliced. */
const PIECE = MIB;
const STAMP_EVERY = 8 * MIB;
const STAMP_BYTES = 64 * 1024;
const stamps = new ByteStream(1);

/**
 * A capture of one connection that was sent `length` bytes.
 * @param every so many bytes there are some that are not 0
 * @returns its id
 */
function write(directory: string, length: number, every = STAMP_EVERY): string {
  const id = `abc-d-0-${length}`;
  const head: CaptureHead = {
    format: RECORD_FORMAT,
    id,
    listener: 'a',
    protocol: 'tcp',
    client: '192.0.2.1:50000',
    local: '192.0.2.2:5000',
    directions: 'both',
    start: '2026-11-21T07:24:54.060Z',
    process: '1-1',
  };
  const end: CaptureEnd = {
    end: '2026-11-21T07:24:55.060Z',
    duration_us: 1_000_000,
    client_bytes: 0,
    upstream_bytes: length,
    close: 'done',
  };
  const lines = [headLine(head)];
  for (let done = 0; done < length; done += PIECE) {
    lines.push(chunkLine(false, done / 1000, Math.min(PIECE, length - done)));
  }
  lines.push(endLine(end));
  const record = openSync(capturePath(directory, id, 'record'), 'wx');
  writeSync(record, lines.join(''));
  closeSync(record);
  const bytes = openSync(capturePath(directory, id, 'upstream'), 'wx');
  ftruncateSync(bytes, length);
  for (let at = 0; at < length; at += every) {
    const stamp = stamps.slice(at, Math.min(STAMP_BYTES, length - at));
    writeSync(bytes, stamp, 0, stamp.length, at);
  }
  closeSync(bytes);
  return id;
}

/** Runs `headgate capture export ARGS…`. @returns the most memory it had */
async function exporting(args: readonly string[], output: string | undefined): Promise<number> {
  const to = output === undefined ? ['ignore', 'pipe'] : ['ignore', 'ignore'];
  const words = [process.execPath, programPath, 'capture', 'export', ...args];
  const [command, ...rest] = withoutLoader(output === undefined ? words : [...words, '-o', output]);
  const child = spawn(command!, rest, { stdio: [...to, 'inherit'] as ('ignore' | 'pipe')[] });
  // A reader that takes everything, and keeps nothing.
  child.stdout?.resume();
  let most = 0;
  const look = () => {
    most = Math.max(most, peakResidentBytes(child.pid!));
  };
  const timer = setInterval(look, 5);
  try {
    await within(40_000, 'the export', exited(child));
  } finally {
    clearInterval(timer);
    child.kill('SIGKILL');
  }
  return most;
}

function exited(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))));
  });
}

/** Asserts that every stamp is in the file where it was. */
function verifyStamps(t: Test, file: string): void {
  t.equal(statSync(file).size, LARGE);
  const fd = openSync(file, 'r');
  const read = Buffer.alloc(STAMP_BYTES);
  for (let at = 0; at < LARGE; at += STAMP_EVERY) {
    readSync(fd, read, 0, read.length, at);
    stamps.verify(read, at);
    // Behind it there is nothing.
    readSync(fd, read, 0, read.length, at + STAMP_BYTES);
    if (read.some((byte) => byte !== 0)) t.fail(`something behind ${at}`);
  }
  closeSync(fd);
}

for (const format of ['raw', 'pcapng'] as const) {
  for (const to of ['a file', 'standard output'] as const) {
    t.test(`capture: a large export as ${format} to ${to}, flat memory`, timeout, async (t) => {
      const directory = temporaryDirectory(t);
      const argsOf = (id: string) => [id, '-d', directory, '--format', format, ...directionOf];
      const directionOf = format === 'raw' ? ['--direction', 'upstream'] : [];
      const output = to === 'a file' ? `${directory}/out` : undefined;
      const small = await exporting(argsOf(write(directory, 1000)), output);
      t.ok(small > 0);
      const large = await exporting([...argsOf(write(directory, LARGE)), '--force'], output);
      t.ok(large < small + MEMORY_BYTES, `${large} bytes, ${small} for next to nothing`);
      if (output !== undefined && format === 'raw') verifyStamps(t, output);
    });
  }
}

testWith(
  missingProgram(['tshark']),
  'capture: Wireshark reads a large export',
  timeout,
  async (t) => {
    const directory = temporaryDirectory(t);
    const file = `${directory}/large.pcapng`;
    const length = 128 * MIB;
    const id = write(directory, length);
    await exporting([id, '-d', directory, '--format', 'pcapng'], file);
    const wrong = '_ws.malformed || tcp.analysis.flags || tcp.checksum.status != "Good"';
    const last = 'tcp.flags.fin==1 && tcp.srcport==5000';
    const options = ['-d', 'tcp.port==1-65535,data', '-o', 'tcp.check_checksum:TRUE'];
    const fields = ['-T', 'fields', '-e', 'tcp.seq'];
    const filter = ['-Y', `${wrong} || (${last})`];
    const tshark = ['tshark', '-n', '-r', file, ...options, ...filter, ...fields];
    const found = (await runProgram(tshark, 40_000)).stdout.toString();
    // Nothing is wrong, and the FIN is behind the last byte; the SYN counted for one.
    t.equal(found, `${length + 1}\n`);
  },
);

testWith(
  missingRoot() ?? missingProgram(['mkfs.btrfs']),
  'capture: an export shares its blocks where the file system can',
  timeout,
  async (t) => {
    const home = temporaryDirectory(t);
    const directory = `${home}/mounted`;
    mkdirSync(directory);
    const image = openSync(`${home}/image`, 'wx');
    ftruncateSync(image, 128 * MIB);
    closeSync(image);
    try {
      const quiet = { stdio: 'pipe' } as const;
      execFileSync(findProgram('mkfs.btrfs')!, ['-q', `${home}/image`], quiet);
      execFileSync('mount', ['-o', 'loop', `${home}/image`, directory], quiet);
    } catch {
      t.plan(0, 'file systems cannot be mounted here');
      return;
    }
    t.teardown(() => execFileSync('umount', ['-l', directory]));
    // There is room for one and a half of it.
    const id = write(directory, 40 * MIB, STAMP_BYTES);
    const bytes = readFileSync(capturePath(directory, id, 'upstream'));
    const to = ['-d', directory, '--format', 'raw', '--direction', 'upstream'];
    for (const copy of [1, 2, 3, 4]) {
      await exporting([id, ...to], `${directory}/copy-${copy}`);
      t.ok(readFileSync(`${directory}/copy-${copy}`).equals(bytes), `copy ${copy}`);
    }
  },
);
