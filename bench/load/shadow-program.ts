// Where copies go: it accepts whoever comes and drops what is sent, in the kernel, or never reads a byte.
// Arguments: its port, and `fast` or `stuck`.
import {
  createKernel,
  Epoll,
  EventPoll,
  Outcome,
  openListener,
  orThrow,
  PlainTransport,
  Sockaddr,
  Socket,
} from '#src/splice/index.js';
import { loopback } from '../loopback.js';

const [port, mode] = process.argv.slice(2);
const kernel = createKernel();
const address = new Sockaddr({ family: 'inet', host: loopback, port: Number(port) });
const options = { backlog: 4096, reusePort: false, ipv6Only: false };
const listener = orThrow(openListener(kernel, address, options), 'listen');
const poll = new EventPoll(kernel, 256);
const transports = new Map<number, PlainTransport>();

function accept(): void {
  for (;;) {
    const flags = Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;
    const fd = kernel.accept4(listener, 0, 0, flags);
    if (fd < 0) return;
    transports.set(fd, new PlainTransport(kernel, fd, true));
    poll.add(fd, (Epoll.EPOLLIN | Epoll.EPOLLRDHUP | Epoll.EPOLLET) >>> 0, fd);
  }
}

function drop(transport: PlainTransport, events: number): void {
  transport.notice(events);
  while (transport.readable) {
    const dropped = transport.discard(1 << 30);
    if (dropped > 0) continue;
    if (dropped === Outcome.Blocked) return;
    transports.delete(transport.fd);
    transport.close();
    return;
  }
}

poll.add(listener, Epoll.EPOLLIN, listener);
for (;;) {
  const count = orThrow(poll.wait(-1), 'epoll_wait');
  for (let index = 0; index < count; index++) {
    const fd = poll.fdAt(index);
    if (fd === listener) accept();
    else if (mode === 'fast') {
      const transport = transports.get(fd);
      if (transport !== undefined) drop(transport, poll.eventsAt(index));
    }
  }
}
