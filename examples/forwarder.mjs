// A TCP forwarder: node forwarder.mjs PORT UPSTREAM_HOST UPSTREAM_PORT
import * as lib from 'headgate/splice';

const [port, host, upstreamPort] = process.argv.slice(2);
const inet = (host, port) => new lib.Sockaddr({ family: 'inet', host, port: Number(port) });
const kernel = lib.createKernel();
const room = lib.createPumpRoom(kernel);
const poll = new lib.EventPoll(kernel, 256);
const options = { backlog: 128, reusePort: false, ipv6Only: true };
const listener = lib.openListener(kernel, inet('127.0.0.1', port), options);
poll.add(listener, lib.Epoll.EPOLLIN, 0);
console.log(`listening on ${lib.localAddress(kernel, listener).port}`);
const flows = new Map(); // by descriptor; the generation tells one that is used again from the old
for (let generation = 1; ; room.clock.nowMs = kernel.monotonicMs()) {
  for (let index = poll.wait(-1) - 1; index >= 0; index--) {
    const [fd, events] = [poll.fdAt(index), poll.eventsAt(index)];
    if (fd === listener) accept(generation++);
    else if (flows.get(fd)?.generation === poll.generationAt(index)) run(flows.get(fd), fd, events);
  }
}

function accept(generation) {
  const fds = [kernel.accept4(listener, 0, 0, lib.Socket.SOCK_NONBLOCK)];
  fds.push(lib.openConnection(kernel, inet(host, upstreamPort)));
  if (fds.some((fd) => fd < 0)) return fds.forEach((fd) => void lib.resetSocket(kernel, fd));
  const pair = new lib.PumpPair(room, ...fds.map((fd) => new lib.PlainTransport(kernel, fd, true)));
  for (const fd of fds) flows.set(fd, { pair, fds, generation });
  for (const fd of fds) poll.add(fd, lib.PAIR_EVENTS, generation);
}

function run({ pair, fds }, fd, events) {
  pair.notice(fd, events);
  while (pair.run() === lib.PairResult.Yielded);
  if (pair.result === lib.PairResult.Waiting) return;
  for (const fd of fds) flows.delete(fd);
  pair.close();
}
