import { readFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { EVENTS_MAX } from '../../proxy/index.js';
import {
  createKernel,
  errnoName,
  getOption,
  type Kernel,
  koffiVersion,
  localAddress,
  NativeMemory,
  openConnection,
  openListener,
  openPipe,
  orThrow,
  RingBatch,
  Sockaddr,
  Socket,
  SocketOption,
  Splice,
  setOption,
} from '../../splice/index.js';
import {
  type KernelTlsOffer,
  KernelTlsRefusal,
  kernelCiphers,
  kernelTlsRefusals,
  probeKernelTls,
  TlsVersion,
} from '../../tls/index.js';
import { openFilesMax } from './open-files.js';

/** One thing of this machine, tried. */
export interface Check {
  readonly name: string;
  /** `absent`: can be done without; `low`: a limit in the way; `missing`: Headgate does not work. */
  readonly state: 'ok' | 'absent' | 'low' | 'missing';
  readonly detail: string;
}

/** Of a limit. */
const UNREADABLE = 'nobody can tell: /proc/sys cannot be read';
/** What is asked of each pipe. */
const PIPE_BYTES = 1024 * 1024;
/** asm-generic/socket.h, asm-generic/unistd.h, linux/fcntl.h */
const SO_ZEROCOPY = 60;
const SYS_OPENAT2 = 437;
const AT_FDCWD = -100;

/**
 * Tries what the proxy would use, on sockets and pipes of its own, which are closed again.
 *
 * @param connectionsMax what the limit of open files is compared with
 */
export function diagnose(connectionsMax: number, kernel: Kernel = createKernel()): Check[] {
  const bench = new Bench(kernel);
  return [
    { name: 'kernel', state: 'ok', detail: `Linux ${release()}, ${availableParallelism()} cores` },
    { name: 'node', state: 'ok', detail: process.version },
    { name: 'openssl', state: 'ok', detail: process.versions.openssl },
    { name: 'koffi', state: 'ok', detail: koffiVersion },
    bench.attempt('splice', 'missing', () => bench.splice()),
    bench.attempt('pipe size', 'absent', () => bench.pipeSize()),
    pipeLimits(),
    bench.attempt('SO_REUSEPORT', 'missing', () => bench.reusePort()),
    openFiles(connectionsMax),
    backlog(),
    ...bench.kernelTls(),
    bench.attempt('MSG_ZEROCOPY', 'absent', () => bench.zeroCopy()),
    bench.attempt('openat2', 'absent', () => bench.openat2()),
    bench.attempt('io_uring', 'absent', () => bench.ioUring()),
  ];
}

class Bench {
  private open: number[] = [];

  constructor(private readonly kernel: Kernel) {}

  /** @param without what it means when it does not work */
  attempt(name: string, without: Check['state'], probe: () => string): Check {
    try {
      return { name, state: 'ok', detail: probe() };
    } catch (error) {
      return { name, state: without, detail: (error as Error).message };
    } finally {
      for (const fd of this.open) this.kernel.close(fd);
      this.open = [];
    }
  }

  splice(): string {
    const { kernel } = this;
    const [from, source] = this.pair();
    const [sink, to] = this.pair();
    const { readEnd, writeEnd } = this.pipe();
    const memory = new NativeMemory(16);
    memory.bytes.write('headgate');
    orThrow(kernel.send(from, memory.address, 8, 0), 'send');
    const flags = Splice.SPLICE_F_MOVE | Splice.SPLICE_F_NONBLOCK;
    orThrow(kernel.splice(source, writeEnd, 4096, flags), 'splice from a socket');
    orThrow(kernel.splice(readEnd, sink, 8, flags), 'splice to a socket');
    memory.bytes.fill(0);
    orThrow(kernel.recv(to, memory.address, 16, 0), 'recv');
    if (memory.bytes.toString('latin1', 0, 8) !== 'headgate')
      throw new Error('wrong bytes came out');
    return 'socket → pipe → socket';
  }

  pipeSize(): string {
    const { capacityBytes } = this.pipe();
    const got = `${capacityBytes / 1024} KiB of ${PIPE_BYTES / 1024} KiB asked for`;
    if (capacityBytes < PIPE_BYTES) throw new Error(got);
    return got;
  }

  reusePort(): string {
    const any = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
    const options = { backlog: 1, reusePort: true, ipv6Only: false };
    const first = this.own(openListener(this.kernel, any, options));
    const same = new Sockaddr(localAddress(this.kernel, first));
    this.own(openListener(this.kernel, same, options));
    return 'two sockets on one port';
  }

  zeroCopy(): string {
    const [fd] = this.pair();
    orThrow(setOption(this.kernel, fd, SocketOption.SOL_SOCKET, SO_ZEROCOPY, 1), 'SO_ZEROCOPY');
    return 'SO_ZEROCOPY';
  }

  openat2(): string {
    const path = new NativeMemory(2);
    path.bytes.write('/\0');
    // struct open_how: flags (O_RDONLY), mode, resolve.
    const how = new NativeMemory(24);
    const { address, byteLength } = how;
    const fd = this.kernel.syscall(SYS_OPENAT2, AT_FDCWD, path.address, address, byteLength);
    this.own(orThrow(fd, 'openat2'));
    return 'files can be held inside a directory';
  }

  ioUring(): string {
    const batch = RingBatch.open(this.kernel, EVENTS_MAX);
    if (typeof batch === 'number') throw new Error(ringRefusal(errnoName(-batch)));
    batch.close();
    return 'reads, writes and closes of many connections in one call';
  }

  /** The protocol itself, and each cipher in each version and direction. */
  kernelTls(): Check[] {
    const first = this.attempt('kernel TLS', 'absent', () => {
      const { tx, rx } = this.offer('aes128Gcm', TlsVersion.Tls12);
      const isThere = tx !== KernelTlsRefusal.NoModule || rx !== KernelTlsRefusal.NoModule;
      if (!isThere) throw new Error('the kernel has no module "tls", or may not load it');
      return 'TCP_ULP "tls"';
    });
    if (first.state !== 'ok') return [first];
    const ciphers = Object.keys(kernelCiphers) as (keyof typeof kernelCiphers)[];
    const details = ciphers.flatMap((cipher) =>
      [TlsVersion.Tls12, TlsVersion.Tls13].map((version) =>
        this.attempt(cipherTitle(cipher, version), 'absent', () =>
          this.cipherOffer(cipher, version),
        ),
      ),
    );
    const renewal = this.attempt('  KeyUpdate', 'absent', () => {
      const { canRenewKeys } = this.offer('aes128Gcm', TlsVersion.Tls13);
      if (!canRenewKeys) throw new Error('keys cannot be changed: connections end where one is');
      return 'keys can be changed';
    });
    return [first, ...details, renewal];
  }

  private offer(cipher: keyof typeof kernelCiphers, version: TlsVersion): KernelTlsOffer {
    return probeKernelTls(this.kernel, kernelCiphers[cipher], version);
  }

  private cipherOffer(cipher: keyof typeof kernelCiphers, version: TlsVersion): string {
    const { tx, rx } = this.offer(cipher, version);
    const text = `send ${answer(tx)}, receive ${answer(rx)}`;
    if (tx !== KernelTlsRefusal.None && rx !== KernelTlsRefusal.None) throw new Error(text);
    return text;
  }

  /** Two ends of a TCP connection over loopback. */
  private pair(): [number, number] {
    const { kernel } = this;
    const any = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });
    const options = { backlog: 1, reusePort: false, ipv6Only: false };
    const listener = this.own(openListener(kernel, any, options));
    const address = new Sockaddr(localAddress(kernel, listener));
    const near = this.own(orThrow(openConnection(kernel, address), 'connect'));
    const far = this.own(orThrow(kernel.accept4(listener, 0, 0, Socket.SOCK_CLOEXEC), 'accept4'));
    const { SOL_SOCKET, SO_ERROR } = SocketOption;
    const failure = getOption(kernel, near, SOL_SOCKET, SO_ERROR);
    if (failure !== 0) throw new Error(`connect: ${errnoName(failure)}`);
    return [near, far];
  }

  private pipe() {
    const pipe = openPipe(this.kernel, PIPE_BYTES, new NativeMemory(8));
    if (typeof pipe === 'number') throw new Error(`pipe2: ${errnoName(-pipe)}`);
    this.own(pipe.readEnd);
    this.own(pipe.writeEnd);
    return pipe;
  }

  private own(fd: number): number {
    this.open.push(fd);
    return fd;
  }
}

/** docs/operations.md says more. */
const ringRefusals: Readonly<Record<string, string>> = {
  EPERM: 'forbidden by kernel.io_uring_disabled or a seccomp filter',
  ENOSYS: 'a kernel before 5.1, or a seccomp filter',
  EINVAL: 'a kernel before 5.4',
  EOPNOTSUPP: 'a kernel before 5.6',
  ENOMEM: 'before Linux 5.12 the limit of locked memory (ulimit -l)',
};

function ringRefusal(name: string): string {
  const meaning = ringRefusals[name];
  return meaning === undefined ? name : `${name}: ${meaning}`;
}

function cipherTitle(cipher: keyof typeof kernelCiphers, version: TlsVersion): string {
  return `  ${kernelCiphers[cipher].name} ${version === TlsVersion.Tls12 ? '1.2' : '1.3'}`;
}

function answer(refusal: KernelTlsRefusal): string {
  return refusal === KernelTlsRefusal.None
    ? 'yes'
    : kernelTlsRefusals[refusal].replaceAll('_', ' ');
}

function pipeLimits(): Check {
  const name = 'pipe limits';
  const max = setting('fs/pipe-max-size');
  const pages = setting('fs/pipe-user-pages-soft');
  if (max === undefined || pages === undefined)
    return { name, state: 'absent', detail: UNREADABLE };
  const soft = pages === 0 ? 'no limit' : `${(pages * 4096) / 1024 ** 2} MiB`;
  const detail = `${max / 1024} KiB each (fs.pipe-max-size), ${soft} a user (fs.pipe-user-pages-soft)`;
  return { name, state: max < PIPE_BYTES ? 'low' : 'ok', detail };
}

/** Two descriptors a flow; pipes and the rest need a few besides. */
function openFiles(connectionsMax: number): Check {
  const limit = openFilesMax();
  const needed = connectionsMax * 2 + 256;
  const detail = `${limit ?? 'nobody can tell'}; limits.connections of ${connectionsMax} takes ${needed}`;
  const state = limit === undefined ? 'absent' : limit < needed ? 'low' : 'ok';
  return { name: 'open files', state, detail };
}

function backlog(): Check {
  const name = 'listen backlog';
  const most = setting('net/core/somaxconn');
  if (most === undefined) return { name, state: 'absent', detail: UNREADABLE };
  const detail = `${most} (net.core.somaxconn); the default backlog is 4096`;
  return { name, state: most < 4096 ? 'low' : 'ok', detail };
}

/** @returns a setting of sysctl(8), `undefined` where a sandbox hides it */
function setting(name: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/sys/${name}`, 'utf8'));
  } catch {
    return undefined;
  }
}
