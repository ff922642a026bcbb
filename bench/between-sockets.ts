// What a proxy does for a turn, without the proxy: eight sockets have something, and it goes on to eight others. By copying,
// by splice(2), and by io_uring's splice, which the proxy has no use for.
import {
  createKernel,
  Errno,
  type Kernel,
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
} from '#src/splice/index.js';
import { SpliceRing } from './splice-ring.js';

const KIB = 1024;
const MIB = KIB * KIB;
const flowsCount = 8;
/** The hands at both ends. */
const uncounted = createKernel();
const memory = new NativeMemory(MIB);
const sizes = [KIB, 16 * KIB, 64 * KIB, 256 * KIB];

/** One of the eight, and both its ends. */
interface Flow {
  readonly source: PlainTransport;
  readonly sink: PlainTransport;
  readonly pipe: Pipe;
  /** Who sends to the source, and who reads from the sink. */
  readonly sender: number;
  readonly receiver: number;
}

/** Moves what the sources have, once; a part of it may be left. @returns bytes that have reached the sinks */
type Mover = (flows: readonly Flow[]) => number;

/** @param kernel whose calls are counted @param count of them so far */
export function betweenSockets(kernel: Kernel, count: () => number, volumeBytes: number): void {
  const flows = Array.from({ length: flowsCount }, () => openFlow(kernel));
  const buffer = new NativeMemory(256 * KIB);
  const ring = SpliceRing.open(kernel, 64);
  const movers: Record<string, Mover | string> = {
    'recv+send': (flows) => sum(flows, (flow) => copy(flow, buffer)),
    splice: (flows) => sum(flows, splice),
    'io_uring, each by itself':
      typeof ring === 'string' ? ring : (flows) => sum(flows, (flow) => spliceByRing(ring, [flow])),
    'io_uring, all in one call':
      typeof ring === 'string' ? ring : (flows) => spliceByRing(ring, flows),
  };
  console.log(`\n| ${flowsCount} sockets to ${flowsCount} | ${Object.keys(movers).join(' | ')} |`);
  console.log(`|---|${'---|'.repeat(Object.keys(movers).length)}`);
  for (const size of sizes) {
    const cells = Object.values(movers).map((mover) =>
      typeof mover === 'string' ? mover : measure(flows, mover, size, volumeBytes, count),
    );
    console.log(`| ${size / KIB} KiB | ${cells.join(' | ')} |`);
  }
  console.log(
    '\nsystem calls per MB / CPU µs per MB, both ends included / µs from the first call until all eight have theirs',
  );
}

function measure(
  flows: readonly Flow[],
  mover: Mover,
  size: number,
  volumeBytes: number,
  calls: () => number,
): string {
  // As the compiler likes it.
  rounds(flows, mover, size, 50);
  const count = Math.max(50, Math.round(volumeBytes / 8 / size / flowsCount));
  const callsBefore = calls();
  const before = process.cpuUsage();
  const movingMs = rounds(flows, mover, size, count);
  const { user, system } = process.cpuUsage(before);
  const megabytes = (count * size * flowsCount) / 1e6;
  const cells = [
    ((calls() - callsBefore) / megabytes).toFixed(1),
    ((user + system) / megabytes).toFixed(0),
    ((movingMs / count) * 1000).toFixed(0),
  ];
  return cells.join(' / ');
}

/** Moves `size` bytes of each flow, `count` times. @returns how long the moving took, milliseconds */
function rounds(flows: readonly Flow[], mover: Mover, size: number, count: number): number {
  let movingMs = 0;
  for (let round = 0; round < count; round++) {
    for (const { sender } of flows) {
      const sent = uncounted.send(sender, memory.address, size, Socket.MSG_NOSIGNAL);
      if (sent !== size) throw new Error(`${sent} of ${size} bytes sent`);
    }
    for (let moved = 0; moved < size * flowsCount; ) {
      const startMs = performance.now();
      moved += mover(flows);
      movingMs += performance.now() - startMs;
      for (const { receiver } of flows) {
        while (uncounted.recv(receiver, memory.address, MIB, Socket.MSG_DONTWAIT) > 0);
      }
    }
  }
  return movingMs;
}

function sum(flows: readonly Flow[], move: (flow: Flow) => number): number {
  return flows.reduce((moved, flow) => moved + move(flow), 0);
}

function copy({ source, sink }: Flow, buffer: NativeMemory): number {
  source.readable = true;
  const read = source.read(buffer.address, buffer.byteLength);
  if (read <= 0) return 0;
  sink.writable = true;
  const written = sink.write(buffer.address, read);
  if (written !== read) throw new Error('a socket that was empty is full');
  return written;
}

function splice({ source, sink, pipe }: Flow): number {
  source.readable = true;
  if (source.spliceTo(pipe, pipe.capacityBytes) <= 0) return 0;
  sink.writable = true;
  const moved = sink.spliceFrom(pipe, false);
  if (pipe.bytes !== 0) throw new Error('a socket that was empty is full');
  return moved;
}

/** Of each flow two requests, the second behind the first; what it does not find there it leaves. */
function spliceByRing(ring: SpliceRing, flows: readonly Flow[]): number {
  for (const { source, sink, pipe } of flows) {
    ring.splice(source.fd, pipe.writeEnd, pipe.capacityBytes, true);
    ring.splice(pipe.readEnd, sink.fd, pipe.capacityBytes, false);
  }
  let moved = 0;
  for (const [index, result] of ring.run().entries()) {
    if (result < 0 && result !== -Errno.EAGAIN) throw new Error(`splice: ${result}`);
    // The pipe's bytes that a full socket has not taken come first next time.
    if (index % 2 === 1 && result > 0) moved += result;
  }
  return moved;
}

function openFlow(kernel: Kernel): Flow {
  const [sender, source] = pair(kernel);
  const [sink, receiver] = pair(kernel);
  const pipe = openPipe(kernel, MIB, new NativeMemory(8));
  if (typeof pipe === 'number') throw new Error(`no pipe: ${pipe}`);
  return {
    source: new PlainTransport(kernel, source, true),
    sink: new PlainTransport(kernel, sink, true),
    pipe,
    sender,
    receiver,
  };
}

/** Two ends of a connection over loopback. */
function pair(kernel: Kernel): [number, number] {
  const any = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
  const options = { backlog: 1, reusePort: false, ipv6Only: true };
  const listener = openListener(kernel, any, options);
  const one = orThrow(
    openConnection(kernel, new Sockaddr(localAddress(kernel, listener))),
    'connect',
  );
  const other = orThrow(kernel.accept4(listener, 0, 0, Socket.SOCK_NONBLOCK), 'accept4');
  kernel.close(listener);
  return [one, other];
}
