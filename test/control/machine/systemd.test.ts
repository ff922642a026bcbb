import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { inheritedSockets, ServiceManager } from '#src/control/index.js';
import { Errno, NativeMemory, orThrow, Sockaddr, Socket, Splice } from '#src/splice/index.js';
import { sleep, until } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { startHeadgate } from '#test/support/programs/headgate.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

const timeout = { timeout: 20_000 };
const { AF_UNIX, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_CLOEXEC } = Socket;

/** The manager's end: a datagram socket, and the messages that have come. */
class Manager {
  private readonly memory = new NativeMemory(4096);

  constructor(
    private readonly kit: SocketKit,
    path: string,
  ) {
    const { kernel } = kit;
    this.fd = kit.own(kernel.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const { memory, byteLength } = new Sockaddr({ family: 'unix', path });
    orThrow(kernel.bind(this.fd, memory.address, byteLength), 'bind', path);
  }

  readonly fd: number;

  /** The next message, or '' when there is none. */
  next(): string {
    const { address, byteLength, bytes } = this.memory;
    const length = this.kit.kernel.recv(this.fd, address, byteLength, 0);
    return length === -Errno.EAGAIN ? '' : bytes.toString('utf8', 0, orThrow(length, 'recv'));
  }
}

/** For tests that look at descriptors, whose teardown would come too late. */
function directory(t: Test): string {
  const path = mkdtempSync(`${tmpdir()}/headgate-systemd-`);
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

for (const kind of ['path', 'abstract'] as const) {
  socketTest(`systemd: the manager is told over a socket with ${kind} name`, (t, kit) => {
    const path = kind === 'path' ? `${directory(t)}/notify` : `@headgate-notify-${process.pid}`;
    const manager = new Manager(kit, path);
    const service = ServiceManager.fromEnvironment({ NOTIFY_SOCKET: path })!;
    t.equal(service.ready(), true);
    t.equal(manager.next(), 'READY=1');
    service.ready('2 listeners');
    t.equal(manager.next(), 'READY=1\nSTATUS=2 listeners');
    service.stopping('draining');
    t.equal(manager.next(), 'STOPPING=1\nSTATUS=draining');
    service.status('two\nlines');
    t.equal(manager.next(), 'STATUS=two lines', 'a status cannot say more than a status');
    t.equal(service.status(''), false);
    t.equal(manager.next(), '');
  });
}

socketTest('systemd: a reload says when it began, on the manager’s clock', (t, kit) => {
  const path = `@headgate-reload-${process.pid}`;
  const manager = new Manager(kit, path);
  const before = process.hrtime.bigint() / 1000n;
  ServiceManager.fromEnvironment({ NOTIFY_SOCKET: path })!.reloading();
  const [, usec] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(manager.next()) ?? [];
  t.ok(BigInt(usec!) >= before && BigInt(usec!) <= process.hrtime.bigint() / 1000n, usec);
});

socketTest('systemd: a manager that is gone, or comes back, is no trouble', (t, kit) => {
  const path = `@headgate-gone-${process.pid}`;
  const service = ServiceManager.fromEnvironment({ NOTIFY_SOCKET: path })!;
  t.equal(service.ready(), false, 'nobody is there yet');
  const first = new Manager(kit, path);
  t.equal(service.ready(), true);
  kit.close(first.fd);
  t.equal(service.ready(), false);
  const second = new Manager(kit, path);
  t.equal(service.ready(), true);
  t.equal(second.next(), 'READY=1');
  while (service.status('x'));
  t.pass('a manager that does not read is not waited for');
});

t.test('systemd: without a manager there is nobody to tell', async (t) => {
  for (const NOTIFY_SOCKET of [undefined, '', 'relative', 'vsock:2:1234', `/${'x'.repeat(200)}`]) {
    t.equal(ServiceManager.fromEnvironment({ NOTIFY_SOCKET }), undefined, `${NOTIFY_SOCKET}`);
  }
});

socketTest('systemd: the watchdog is told twice in its time, while all is well', async (t, kit) => {
  const path = `@headgate-watchdog-${process.pid}`;
  const manager = new Manager(kit, path);
  const service = ServiceManager.fromEnvironment({ NOTIFY_SOCKET: path, WATCHDOG_USEC: '100000' })!;
  let isWell = true;
  service.startWatchdog(() => isWell);
  t.equal(manager.next(), 'WATCHDOG=1', 'at once');
  await until(2_000, 'again', () => manager.next() === 'WATCHDOG=1');
  await until(2_000, 'and again', () => manager.next() === 'WATCHDOG=1');
  isWell = false;
  while (manager.next() !== '');
  await sleep(150);
  t.equal(manager.next(), '', 'silence when something is wrong');
  isWell = true;
  await until(2_000, 'it is well again', () => manager.next() === 'WATCHDOG=1');
  service.stopWatchdog();
  while (manager.next() !== '');
  await sleep(120);
  t.equal(manager.next(), '');
});

t.test('systemd: a watchdog that nobody asked for, or that is somebody else’s', async (t) => {
  const watchdogMs = (environment: Record<string, string>) =>
    ServiceManager.fromEnvironment({ NOTIFY_SOCKET: '/run/x', ...environment })!.watchdogMs;
  t.equal(watchdogMs({}), 0);
  t.equal(watchdogMs({ WATCHDOG_USEC: '30000000' }), 30_000);
  t.equal(watchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: String(process.pid) }), 30_000);
  t.equal(watchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' }), 0);
  for (const WATCHDOG_USEC of ['0', '', '-1', 'x', '1e9'])
    t.equal(watchdogMs({ WATCHDOG_USEC }), 0);
});

t.test('systemd: sockets of another process are not ours', async (t) => {
  t.equal(inheritedSockets({}).size, 0);
  t.equal(inheritedSockets({ LISTEN_FDS: '3' }).size, 0);
  t.equal(inheritedSockets({ LISTEN_FDS: '3', LISTEN_PID: '1' }).size, 0);
  const LISTEN_PID = String(process.pid);
  t.equal(inheritedSockets({ LISTEN_FDS: '0', LISTEN_PID }).size, 0);
  for (const LISTEN_FDS of ['', 'x', '-1', '1.5', '999999']) {
    t.throws(() => inheritedSockets({ LISTEN_FDS, LISTEN_PID }), RangeError, LISTEN_FDS);
  }
});

const program = `
import { inheritedSockets } from ${JSON.stringify(fileURLToPath(new URL('../../../../dist/control/index.js', import.meta.url)))};
import { createKernel, Splice } from ${JSON.stringify(fileURLToPath(new URL('../../../../dist/splice/index.js', import.meta.url)))};
const kernel = createKernel();
const flags = (fd) => [kernel.fcntl(fd, 1, 0), kernel.fcntl(fd, Splice.F_GETFL, 0) & Splice.O_NONBLOCK];
const sockets = [...inheritedSockets().values()].flat();
console.log(JSON.stringify(sockets.map((socket) => ({ ...socket, flags: flags(socket.fd) }))));
`;

testWith(
  missingProgram(['systemd-socket-activate']),
  'systemd: sockets are taken over by name and address',
  timeout,
  async (t) => {
    const path = `${directory(t)}/web.sock`;
    const listen = ['-l', path, '-l', `${path}2`, '-l', `@headgate-fd-${process.pid}`];
    const child = spawn(
      'systemd-socket-activate',
      [...listen, '--fdname=web:db:web', process.execPath, '--input-type=module', '-e', program],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    t.teardown(() => child.kill());
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
    });
    await until(5_000, 'it listens', () => errors.includes('Listening on @'));
    // A connection makes it start the program.
    const client = net.connect(path).on('error', () => {});
    t.teardown(() => client.destroy());
    await until(
      10_000,
      'the program answers',
      () => output.endsWith('\n'),
      () => errors,
    );
    const flags = [Splice.FD_CLOEXEC, Splice.O_NONBLOCK];
    t.match(JSON.parse(output), [
      { name: 'web', fd: 3, address: { family: 'unix', path }, flags },
      { name: 'web', fd: 5, address: { path: `@headgate-fd-${process.pid}` }, flags },
      { name: 'db', fd: 4, address: { path: `${path}2` }, flags },
    ]);
  },
);

testWith(
  missingProgram(['python3']),
  'systemd: a manager in another language hears it',
  timeout,
  async (t) => {
    const path = `${directory(t)}/notify`;
    const script =
      'import socket,sys; s=socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print(s.recv(99).decode())';
    const heard = new Promise<string>((resolve) => {
      execFile('python3', ['-c', script, path], (_, stdout) => resolve(stdout));
    });
    const service = ServiceManager.fromEnvironment({ NOTIFY_SOCKET: path })!;
    await until(10_000, 'it is heard', () => service.ready('hello'));
    t.equal(await heard, 'READY=1\nSTATUS=hello\n');
  },
);

socketTest('systemd: headgate says when it accepts, reloads and drains', async (t, kit) => {
  const path = `@headgate-run-${process.pid}`;
  const manager = new Manager(kit, path);
  process.env.NOTIFY_SOCKET = path;
  process.env.WATCHDOG_USEC = '10000000';
  t.teardown(() => {
    delete process.env.NOTIFY_SOCKET;
    delete process.env.WATCHDOG_USEC;
  });
  const headgate = await startHeadgate(['tcp', '127.0.0.1:0', '127.0.0.1:1', '--workers', '1']);
  t.teardown(() => headgate.kill());
  const next = () => until(3_000, 'a message', () => manager.next(), headgate.context);
  t.equal(await next(), 'READY=1');
  t.equal(await next(), 'WATCHDOG=1');
  headgate.signal('SIGHUP');
  t.match(await next(), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
  t.match(await next(), /^READY=1\nSTATUS=not reloaded/, 'there is no file to read again');
  await headgate.stop();
  t.match(await next(), /^STOPPING=1\n/);
});
