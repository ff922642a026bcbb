import {
  createKernel,
  type Kernel,
  localAddress,
  NativeMemory,
  orThrow,
  Sockaddr,
  Socket,
  type SocketAddress,
  Splice,
} from '../../splice/index.js';

type Environment = Readonly<Record<string, string | undefined>>;

const DATAGRAM = Socket.SOCK_DGRAM | Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;
const SEND_FLAGS = Socket.MSG_NOSIGNAL | Socket.MSG_DONTWAIT;

/** Node's timers have 31 bits. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The first descriptor that is handed over: SD_LISTEN_FDS_START of sd_listen_fds(3). */
const LISTEN_FDS_START = 3;

/**
 * The service manager that started this process, told how the service does (sd_notify(3)). A manager
 * that does not listen is nobody's problem: nothing here throws, and nothing waits.
 */
export class ServiceManager {
  private watchdog: NodeJS.Timeout | undefined;

  /** @param watchdogMs within which the manager wants to hear that all is well; 0: it does not ask */
  private constructor(
    private readonly kernel: Kernel,
    private readonly address: Sockaddr,
    readonly watchdogMs: number,
  ) {}

  /** @returns `undefined` when no manager wants to be told: NOTIFY_SOCKET is not set, or is not a unix socket */
  static fromEnvironment(
    environment: Environment = process.env,
    kernel: Kernel = createKernel(),
  ): ServiceManager | undefined {
    const { NOTIFY_SOCKET: path = '' } = environment;
    if (!path.startsWith('/') && !path.startsWith('@')) return undefined;
    const address = sockaddrOf(path);
    return address && new ServiceManager(kernel, address, watchdogMs(environment));
  }

  /** The service accepts connections; also said when a reload is done. */
  ready(status = ''): boolean {
    return this.notify('READY=1', statusLine(status));
  }

  /** A reload begins; {@link ready} ends it. */
  reloading(): boolean {
    // Of the same clock as systemd's: libuv reads CLOCK_MONOTONIC.
    const now = process.hrtime.bigint() / 1000n;
    return this.notify('RELOADING=1', `MONOTONIC_USEC=${now}`);
  }

  /** The service is about to end: it drains. */
  stopping(status = ''): boolean {
    return this.notify('STOPPING=1', statusLine(status));
  }

  /** One line for `systemctl status`. */
  status(text: string): boolean {
    return this.notify(statusLine(text));
  }

  /**
   * Tells the manager, twice in the time it allows, that all is well, for as long as it is. A control
   * thread that hangs says nothing, and is restarted.
   *
   * @param isWell asked each time
   */
  startWatchdog(isWell: () => boolean): void {
    if (this.watchdogMs === 0 || this.watchdog !== undefined) return;
    const tell = (): void => {
      if (isWell()) this.notify('WATCHDOG=1');
    };
    tell();
    this.watchdog = setInterval(tell, Math.min(this.watchdogMs / 2, TIMER_MS_MAX)).unref();
  }

  stopWatchdog(): void {
    clearInterval(this.watchdog);
    this.watchdog = undefined;
  }

  /** @returns whether the datagram was taken */
  private notify(...lines: string[]): boolean {
    const message = Buffer.from(lines.filter((line) => line !== '').join('\n'));
    if (message.length === 0) return false;
    const memory = NativeMemory.copyOf(message);
    // A socket for each message: the manager may have opened its own anew since the last one.
    const { domain, byteLength } = this.address;
    const fd = this.kernel.socket(domain, DATAGRAM, 0);
    if (fd < 0) return false;
    let result = this.kernel.connect(fd, this.address.memory.address, byteLength);
    if (result >= 0) result = this.kernel.send(fd, memory.address, message.length, SEND_FLAGS);
    this.kernel.close(fd);
    return result >= 0;
  }
}

/** A socket that the service manager opened and handed over. */
export interface InheritedSocket {
  /** FileDescriptorName= of the socket unit; its unit's name unless that says otherwise. */
  readonly name: string;
  readonly fd: number;
  /** What it is bound to; `undefined` when it is not a socket. */
  readonly address: SocketAddress | undefined;
}

/**
 * The descriptors a service manager handed over (sd_listen_fds(3)), by name; several may have one.
 * From now on they do not block, and are closed in programs this one starts.
 *
 * @param environment LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES
 * @param pid whom LISTEN_PID has to mean: variables that a parent was given and passed on do not count
 * @throws RangeError when LISTEN_FDS is no number; SystemCallError when a descriptor is not open
 */
export function inheritedSockets(
  environment: Environment = process.env,
  pid = process.pid,
  kernel: Kernel = createKernel(),
): Map<string, InheritedSocket[]> {
  const { LISTEN_PID, LISTEN_FDS = '', LISTEN_FDNAMES = '' } = environment;
  if (LISTEN_PID !== String(pid)) return new Map();
  if (!/^\d{1,5}$/.test(LISTEN_FDS)) throw new RangeError(`LISTEN_FDS is "${LISTEN_FDS}"`);
  const names = LISTEN_FDNAMES.split(':');
  const found = new Map<string, InheritedSocket[]>();
  for (let index = 0; index < Number(LISTEN_FDS); index++) {
    const fd = LISTEN_FDS_START + index;
    // What sd_listen_fds_with_names(3) says of a descriptor without a name.
    const name = names[index] || 'unknown';
    adopt(kernel, fd);
    const socket = { name, fd, address: addressOf(kernel, fd) };
    found.set(name, [...(found.get(name) ?? []), socket]);
  }
  return found;
}

function adopt(kernel: Kernel, fd: number): void {
  const { F_SETFD, F_GETFL, F_SETFL, FD_CLOEXEC, O_NONBLOCK } = Splice;
  orThrow(kernel.fcntl(fd, F_SETFD, FD_CLOEXEC), 'fcntl F_SETFD', `inherited descriptor ${fd}`);
  const flags = orThrow(kernel.fcntl(fd, F_GETFL, 0), 'fcntl F_GETFL');
  orThrow(kernel.fcntl(fd, F_SETFL, flags | O_NONBLOCK), 'fcntl F_SETFL');
}

function addressOf(kernel: Kernel, fd: number): SocketAddress | undefined {
  try {
    return localAddress(kernel, fd);
  } catch {
    return undefined;
  }
}

/** WATCHDOG_PID: the variables may have been meant for a parent (sd_watchdog_enabled(3)). */
function watchdogMs({ WATCHDOG_USEC = '', WATCHDOG_PID }: Environment): number {
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)) return 0;
  return /^[1-9]\d*$/.test(WATCHDOG_USEC) ? Number(WATCHDOG_USEC) / 1000 : 0;
}

function sockaddrOf(path: string): Sockaddr | undefined {
  try {
    return new Sockaddr({ family: 'unix', path });
  } catch {
    return undefined;
  }
}

/** A message is lines: what is between two of them must not be one. */
function statusLine(text: string): string {
  return text === '' ? '' : `STATUS=${text.replaceAll('\n', ' ')}`;
}
