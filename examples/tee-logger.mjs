// Receives one connection's bytes, forwards them and logs them: node tee-logger.mjs PORT HOST UPSTREAM_PORT LOG
// The bytes are duplicated by reference and never seen here.
import { openSync } from 'node:fs';
import * as lib from 'headgate/splice';

const { Epoll, Outcome } = lib;
const [port, host, upstreamPort, logFile] = process.argv.slice(2);
const kernel = lib.createKernel();
const inet = (host, port) => new lib.Sockaddr({ family: 'inet', host, port: Number(port) });
const log = openSync(logFile, 'w');
const scratch = new lib.NativeMemory(8);
const pipe = lib.openPipe(kernel, 65_536, scratch);
const copy = lib.openPipe(kernel, 65_536, scratch);
const listenOptions = { backlog: 1, reusePort: false, ipv6Only: true };
const listener = lib.openListener(kernel, inet('127.0.0.1', port), listenOptions);
console.log(`listening on ${lib.localAddress(kernel, listener).port}`);

waitFor(listener, Epoll.EPOLLIN);
const client = lib.orThrow(kernel.accept4(listener, 0, 0, lib.Socket.SOCK_NONBLOCK), 'accept4');
const server = lib.orThrow(lib.openConnection(kernel, inet(host, upstreamPort)), 'connect');
const source = new lib.PlainTransport(kernel, client, true);
const sink = new lib.PlainTransport(kernel, server, true);
let logged = 0;
for (;;) {
  const moved = source.spliceTo(pipe, pipe.capacityBytes);
  if (moved === Outcome.Blocked) waitFor(client, Epoll.EPOLLIN | Epoll.EPOLLRDHUP);
  else if (moved <= 0) break;
  // The copy is empty and as large as the first pipe: it has a place for each of its pieces.
  if (moved > 0 && lib.teePipe(kernel, pipe, copy, moved) !== moved) throw new Error('tee');
  while (copy.bytes > 0) {
    const written = lib.spliceToFile(kernel, copy, log, logged, copy.bytes);
    if (written <= 0) throw new Error('the log cannot be written');
    logged += written;
  }
  while (pipe.bytes > 0) {
    const sent = sink.spliceFrom(pipe, false);
    if (sent === Outcome.Blocked) waitFor(server, Epoll.EPOLLOUT);
    else if (sent <= 0) throw new Error(lib.errnoName(sink.errno));
  }
}
sink.shutdownWrite();
console.log(`logged ${logged}`);

function waitFor(fd, events) {
  const poll = new lib.EventPoll(kernel, 1);
  poll.add(fd, events, 0);
  poll.wait(-1);
  poll.close();
}
