// Forwards frames of one connection: node framed.mjs PORT HOST UPSTREAM_PORT
// A frame is four bytes of length, big-endian, and as many of payload. The program reads the length;
// the payload is moved by a pump that stops where the frame ends.
import * as lib from 'headgate/splice';

const { Epoll, Outcome, PumpResult } = lib;
const [port, host, upstreamPort] = process.argv.slice(2);
const kernel = lib.createKernel();
const inet = (host, port) => new lib.Sockaddr({ family: 'inet', host, port: Number(port) });
const listenOptions = { backlog: 1, reusePort: false, ipv6Only: true };
const listener = lib.openListener(kernel, inet('127.0.0.1', port), listenOptions);
console.log(`listening on ${lib.localAddress(kernel, listener).port}`);

const poll = new lib.EventPoll(kernel, 8);
poll.add(listener, Epoll.EPOLLIN, 0);
poll.wait(-1);
const client = lib.orThrow(kernel.accept4(listener, 0, 0, lib.Socket.SOCK_NONBLOCK), 'accept4');
poll.remove(listener);
const server = lib.orThrow(lib.openConnection(kernel, inet(host, upstreamPort)), 'connect');
const source = new lib.PlainTransport(kernel, client, true);
const sink = new lib.PlainTransport(kernel, server, true);
const EDGES = (Epoll.EPOLLIN | Epoll.EPOLLOUT | Epoll.EPOLLRDHUP | Epoll.EPOLLET) >>> 0;
for (const { fd } of [source, sink]) poll.add(fd, EDGES, 0);

const pump = new lib.Pump(
  lib.createPumpRoom(kernel),
  new Float64Array(lib.PUMP_SLOTS),
  source,
  sink,
);
const head = new lib.NativeMemory(4);
while (readHead()) {
  writeHead();
  pump.remainingBytes = head.bytes.readUInt32BE(0);
  console.log(`frame of ${pump.remainingBytes}`);
  let result = pump.run();
  for (; result !== PumpResult.Ended; result = pump.run()) {
    if (result === PumpResult.Waiting) takeEvents();
    else if (result !== PumpResult.Yielded) throw new Error('the connection broke');
  }
  if (pump.remainingBytes > 0) throw new Error('the stream ended inside a frame');
}
sink.shutdownWrite();
console.log(`spliced ${pump.splicedBytes} copied ${pump.copiedBytes}`);

function readHead() {
  for (let have = 0; have < 4; ) {
    const read = source.read(head.address + have, 4 - have);
    if (read > 0) have += read;
    else if (read === Outcome.Blocked) takeEvents();
    else if (read === Outcome.Eof && have === 0) return false;
    else throw new Error('the stream ended inside a head');
  }
  return true;
}

function writeHead() {
  for (let done = 0; done < 4; ) {
    const written = sink.write(head.address + done, 4 - done);
    if (written > 0) done += written;
    else if (written === Outcome.Blocked) takeEvents();
    else throw new Error(lib.errnoName(sink.errno));
  }
}

function takeEvents() {
  const count = poll.wait(-1);
  for (let index = 0; index < count; index++) {
    (poll.fdAt(index) === client ? source : sink).notice(poll.eventsAt(index));
  }
}
