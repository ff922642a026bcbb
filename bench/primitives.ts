// What each way of moving bytes costs, without a proxy around it: system calls and processor time per MB, by
// the size of a message. One process, two connected sockets over loopback, the receiver drained in between.
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import koffi from 'koffi';
import {
  copyFile,
  createKernel,
  Errno,
  GiftPages,
  type Kernel,
  type Libc,
  loadLibc,
  localAddress,
  NativeMemory,
  openConnection,
  openListener,
  openPipe,
  orThrow,
  type Pipe,
  PlainTransport,
  Sockaddr,
  Socket,
  type SyscallName,
  sendFile,
  spliceFromFile,
  syscallNames,
  ZeroCopySender,
} from '#src/splice/index.js';
import { betweenSockets } from './between-sockets.js';

// asm-generic/mman-common.h
const PROT_READ = 1;
const MAP_SHARED = 1;

const KIB = 1024;
const MIB = KIB * KIB;
const sizes = [KIB, 16 * KIB, 64 * KIB, MIB, 64 * MIB];
const pipeBytes = MIB;
const bufferBytes = 256 * KIB;

/** What every way works with. */
interface Bench {
  kernel: Kernel;
  file: number;
  target: number;
  socket: number;
  pipe: Pipe;
  buffer: NativeMemory;
  transport: PlainTransport;
  zeroCopy: ZeroCopySender;
  pages: GiftPages;
  mapping: Mapping;
  /** Empties the receiver; its calls are not counted, its time is: the same for every way. */
  drain(): void;
}

/** mmap(2) of the file, which the library has no use for: it is here to be compared with. */
interface Mapping {
  /** @returns the address */
  map(file: number, length: number): number;
  unmap(address: number, length: number): void;
}

/** Moves the first `size` bytes of the file, all of them. */
type Way = (bench: Bench, size: number) => void;

const ways: Readonly<Record<string, Way>> = {
  'read+write': ({ kernel, file, socket, buffer, drain }, size) =>
    inPieces(size, buffer.byteLength, (offset, length) => {
      orThrow(kernel.pread(file, buffer.address, length, offset), 'pread');
      deliver(length, drain, (done) =>
        kernel.send(socket, buffer.address + done, length - done, Socket.MSG_NOSIGNAL),
      );
    }),
  'mmap+write': ({ kernel, file, socket, mapping, drain }, size) => {
    const address = mapping.map(file, size);
    deliver(size, drain, (done) =>
      kernel.send(socket, address + done, size - done, Socket.MSG_NOSIGNAL),
    );
    mapping.unmap(address, size);
  },
  sendfile: ({ kernel, file, socket, drain }, size) =>
    deliver(size, drain, (done) => sendFile(kernel, socket, file, done, size - done)),
  splice: ({ kernel, file, transport, pipe, drain }, size) =>
    inPieces(size, pipe.capacityBytes, (offset, length) => {
      deliver(length, drain, (done) => {
        if (pipe.bytes === 0) {
          orThrow(spliceFromFile(kernel, file, offset + done, pipe, length - done), 'splice');
        }
        return transport.spliceFrom(pipe, false);
      });
    }),
  // Memory: filled already for `write` and MSG_ZEROCOPY, filled anew each time where the name says so.
  write: ({ kernel, socket, buffer, drain }, size) =>
    inPieces(size, buffer.byteLength, (_, length) =>
      deliver(length, drain, (done) =>
        kernel.send(socket, buffer.address + done, length - done, Socket.MSG_NOSIGNAL),
      ),
    ),
  'fill+write': ({ kernel, socket, buffer, drain }, size) =>
    inPieces(size, buffer.byteLength, (_, length) => {
      buffer.bytes.fill(1, 0, length);
      deliver(length, drain, (done) =>
        kernel.send(socket, buffer.address + done, length - done, Socket.MSG_NOSIGNAL),
      );
    }),
  'fill+vmsplice gift': ({ pages, transport, pipe, drain }, size) =>
    inPieces(size, Math.min(bufferBytes, pipe.capacityBytes), (_, length) => {
      pages.bytes.fill(1, 0, length);
      orThrow(pages.give(pipe, length), 'vmsplice');
      deliver(length, drain, () => transport.spliceFrom(pipe, false));
    }),
  MSG_ZEROCOPY: ({ zeroCopy, buffer, drain }, size) =>
    inPieces(size, buffer.byteLength, (_, length) => {
      deliver(length, drain, (done) => zeroCopy.send(buffer, done, length - done));
      zeroCopy.reap();
    }),
  copy_file_range: ({ kernel, file, target }, size) => {
    const copied = copyFile(kernel, file, target, { length: size });
    if (typeof copied === 'number') orThrow(copied, 'copy_file_range');
  },
};

function inPieces(
  size: number,
  pieceBytes: number,
  move: (offset: number, length: number) => void,
): void {
  for (let offset = 0; offset < size; offset += pieceBytes) {
    move(offset, Math.min(pieceBytes, size - offset));
  }
}

function deliver(length: number, drain: () => void, send: (done: number) => number): void {
  for (let done = 0; done < length; ) {
    const sent = send(done);
    if (sent > 0) done += sent;
    // EAGAIN, by the kernel's number or as an outcome.
    else if (sent === -1 || sent === -Errno.EAGAIN) drain();
    else throw new Error(`a send answered ${sent}`);
  }
}

/** The C library, with its calls counted. */
function counting(): { libc: Libc; mapping: Mapping; count: () => number } {
  const real = loadLibc();
  let calls = 0;
  const counted = (name: SyscallName) => {
    const call = real.calls[name];
    return (...args: number[]) => {
      calls++;
      return call(...args);
    };
  };
  const all = Object.fromEntries(syscallNames.map((name) => [name, counted(name)]));
  const libc = { calls: all as unknown as Libc['calls'], errno: () => real.errno() };
  const c = koffi.load(null);
  const mmap = c.func('long mmap(uintptr_t, size_t, int, int, int, long)');
  const munmap = c.func('int munmap(uintptr_t, size_t)');
  const mapping: Mapping = {
    map(file, length) {
      calls++;
      const address = mmap(0, length, PROT_READ, MAP_SHARED, file, 0);
      if (address === -1) throw new Error('mmap');
      return address;
    },
    unmap(address, length) {
      calls++;
      if (munmap(address, length) !== 0) throw new Error('munmap');
    },
  };
  return { libc, mapping, count: () => calls };
}

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { mb: { type: 'string', default: '64' } } });
  const volumeBytes = Number(values.mb) * MIB;
  if (!(volumeBytes >= MIB && volumeBytes <= 100_000 * MIB)) {
    console.error('usage: npm run bench -- primitives [--mb MIB_PER_CELL]');
    return 2;
  }
  const directory = mkdtempSync(`${tmpdir()}/headgate-primitives-`);
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const { libc, mapping, count } = counting();
  const kernel = createKernel(libc);
  const bench = open(directory, kernel, mapping);
  console.log(`| message | ${Object.keys(ways).join(' | ')} |`);
  console.log(`|---|${'---|'.repeat(Object.keys(ways).length)}`);
  for (const size of sizes) {
    const cells = Object.values(ways).map((way) => measure(bench, way, size, volumeBytes, count));
    console.log(
      `| ${size < MIB ? `${size / KIB} KiB` : `${size / MIB} MiB`} | ${cells.join(' | ')} |`,
    );
  }
  console.log('\nsystem calls per MB (10⁶ bytes) / CPU µs per MB, receiver included');
  console.log(
    `MSG_ZEROCOPY: ${bench.zeroCopy.copied} of ${bench.zeroCopy.completed} copied anyway`,
  );
  betweenSockets(kernel, count, volumeBytes);
  return 0;
}

/** Drained after each message, so that what a full socket costs is not measured with small ones. */
function measure(
  bench: Bench,
  way: Way,
  size: number,
  volumeBytes: number,
  count: () => number,
): string {
  way(bench, size);
  bench.drain();
  // Small messages need more JavaScript than bytes: an eighth of the volume is enough of them.
  const wanted = size < 16 * KIB ? volumeBytes / 8 : volumeBytes;
  const messages = Math.max(1, Math.round(wanted / size));
  const callsBefore = count();
  const before = process.cpuUsage();
  for (let message = 0; message < messages; message++) {
    way(bench, size);
    if (message % 16 === 15) bench.drain();
  }
  bench.drain();
  const { user, system } = process.cpuUsage(before);
  const megabytes = (messages * size) / 1e6;
  const calls = (count() - callsBefore) / megabytes;
  return `${calls.toFixed(1)} / ${((user + system) / megabytes).toFixed(0)}`;
}

function open(directory: string, kernel: Kernel, mapping: Mapping): Bench {
  const file = openSync(`${directory}/from`, 'w+');
  const target = openSync(`${directory}/to`, 'w+');
  process.once('exit', () => [file, target].forEach(closeSync));
  const block = Buffer.alloc(MIB, 'headgate');
  const largest = sizes.at(-1)!;
  for (let offset = 0; offset < largest; offset += MIB) writeSync(file, block, 0, MIB, offset);
  ftruncateSync(target, 0);
  // The receiver's calls go past the counter.
  const uncounted = createKernel();
  const any = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
  const options = { backlog: 1, reusePort: false, ipv6Only: true };
  const listener = openListener(uncounted, any, options);
  const address = new Sockaddr(localAddress(uncounted, listener));
  const socket = orThrow(openConnection(uncounted, address), 'connect');
  const receiver = orThrow(uncounted.accept4(listener, 0, 0, Socket.SOCK_NONBLOCK), 'accept4');
  uncounted.close(listener);
  const pipe = openPipe(kernel, pipeBytes, new NativeMemory(8));
  if (typeof pipe === 'number') throw new Error(`no pipe: ${pipe}`);
  const zeroCopy = new ZeroCopySender(kernel, socket);
  zeroCopy.enable();
  const into = new NativeMemory(MIB);
  return {
    kernel,
    file,
    target,
    socket,
    pipe,
    buffer: new NativeMemory(bufferBytes),
    transport: new PlainTransport(kernel, socket, true),
    zeroCopy,
    pages: new GiftPages(kernel, bufferBytes),
    mapping,
    drain() {
      while (uncounted.recv(receiver, into.address, into.byteLength, 0) > 0);
      zeroCopy.reap();
    },
  };
}
