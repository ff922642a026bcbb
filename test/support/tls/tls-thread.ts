/** A thread that serves TLS with the parts of src/tls and nothing of a proxy: it echoes. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import {
  BufferPool,
  createKernel,
  Epoll,
  Errno,
  EventPoll,
  PipePool,
  PUMP_SLOTS,
  Pump,
  PumpResult,
  Socket,
} from '#src/splice/index.js';
import {
  Handshake,
  HandshakeResult,
  ServerContexts,
  type TlsTransport,
  takeOver,
} from '#src/tls/index.js';
import type { TlsThreadStart, ToTlsThread } from './tls-server.js';

const start = workerData as TlsThreadStart;
const { fd: listener, settings, use, canRenewKeys } = start;
const EVENTS = (Epoll.EPOLLIN | Epoll.EPOLLOUT | Epoll.EPOLLRDHUP | Epoll.EPOLLET) >>> 0;

const port = parentPort!;
const kernel = createKernel();
const clock = { nowMs: performance.now() };
const room = {
  kernel,
  clock,
  pipes: new PipePool(kernel, 65536, 1 << 20),
  buffers: new BufferPool(65536),
};
const poll = new EventPoll(kernel, 256);
let contexts = new ServerContexts(settings, use);

class Connection {
  handshake: Handshake | undefined;
  private transport: TlsTransport | undefined;
  private pump: Pump | undefined;
  private hasEnded = false;

  constructor(readonly fd: number) {
    this.handshake = Handshake.accept(room, contexts, fd, true);
  }

  run(events: number): void {
    if (this.handshake !== undefined) this.shake(this.handshake, events);
    else this.transport!.notice(events);
    if (this.transport === undefined) return;
    if (this.hasEnded) this.closeWhenSaid(this.transport);
    else this.echo(this.transport);
  }

  private shake(handshake: Handshake, events: number): void {
    const result = handshake.advance(events);
    if (result === HandshakeResult.Failed) this.failed(handshake);
    if (result !== HandshakeResult.Done) return;
    this.handshake = undefined;
    const { session } = handshake;
    const { transport, tx, rx } = takeOver(handshake, settings.kernel, canRenewKeys);
    if (transport === undefined) {
      this.failed(handshake);
      return;
    }
    port.postMessage({ type: 'done', session, tx, rx });
    this.transport = transport;
    this.pump = new Pump(room, new Float64Array(PUMP_SLOTS), this.transport, this.transport);
  }

  private failed({ failure, detail }: Handshake): void {
    port.postMessage({ type: 'failed', failure, detail });
    this.close(() => kernel.close(this.fd));
  }

  private echo(transport: TlsTransport): void {
    const result = this.pump!.run();
    if (result === PumpResult.Waiting) return;
    if (result === PumpResult.Yielded) deferred.add(this);
    else this.ended(transport, result === PumpResult.Ended);
  }

  private ended(transport: TlsTransport, isWell: boolean): void {
    this.pump!.release();
    this.hasEnded = true;
    if (isWell) {
      transport.shutdownWrite();
      this.closeWhenSaid(transport);
    } else {
      this.close(() => transport.reset());
    }
  }

  private closeWhenSaid(transport: TlsTransport): void {
    if (!transport.isClosing) this.close(() => transport.close());
  }

  private close(end: () => void): void {
    connections.delete(this.fd);
    deferred.delete(this);
    end();
  }
}

const connections = new Map<number, Connection>();
const deferred = new Set<Connection>();

function accept(): void {
  for (;;) {
    const fd = kernel.accept4(listener, 0, 0, Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC);
    if (fd === -Errno.EAGAIN) return;
    if (fd < 0) throw new Error(`accept4: ${-fd}`);
    const connection = new Connection(fd);
    connections.set(fd, connection);
    poll.add(fd, EVENTS, 0);
    connection.run(0);
  }
}

function listen(): boolean {
  const said = receiveMessageOnPort(port) as { message: ToTlsThread } | undefined;
  if (said === undefined) return true;
  if (said.message.type === 'stop') return false;
  const old = contexts;
  contexts = new ServerContexts(said.message.settings, use);
  old.release();
  port.postMessage({ type: 'reloaded' });
  return true;
}

poll.add(listener, Epoll.EPOLLIN, 0);
port.postMessage({ type: 'ready' });
let isRunning = true;
while (isRunning) {
  const count = poll.wait(deferred.size > 0 ? 0 : 10);
  clock.nowMs = performance.now();
  for (let index = 0; index < count; index++) {
    const fd = poll.fdAt(index);
    if (fd === listener) accept();
    else connections.get(fd)?.run(poll.eventsAt(index));
  }
  const due = [...deferred];
  deferred.clear();
  for (const connection of due) connection.run(0);
  isRunning = listen();
}
for (const { fd } of [...connections.values()]) kernel.close(fd);
contexts.release();
poll.close();
