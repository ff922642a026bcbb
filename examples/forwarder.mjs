// A TCP forwarder: node forwarder.mjs PORT UPSTREAM_HOST UPSTREAM_PORT
import * as lib from 'headgate/splice';

const { Epoll, Outcome, PumpResult } = lib;
const [port, host, upstreamPort] = process.argv.slice(2);
const inet = (host, port) => new lib.Sockaddr({ family: 'inet', host, port: Number(port) });
const kernel = lib.createKernel();
const pipes = new lib.PipePool(kernel, 262_144, 64 << 20);
const room = { kernel, pipes, buffers: new lib.BufferPool(65_536), clock: { nowMs: 0 } };
const meter = new Float64Array(lib.PUMP_SLOTS);
const poll = new lib.EventPoll(kernel, 256);
const EDGES = (Epoll.EPOLLIN | Epoll.EPOLLOUT | Epoll.EPOLLRDHUP | Epoll.EPOLLET) >>> 0;
const listenOptions = { backlog: 128, reusePort: false, ipv6Only: true };
const listener = lib.openListener(kernel, inet('127.0.0.1', port), listenOptions);
poll.add(listener, Epoll.EPOLLIN, 0);
console.log(`listening on ${lib.localAddress(kernel, listener).port}`);
const flows = new Map(); // by descriptor; the generation tells a reused one from the old
for (let generation = 1; ; ) {
  const count = poll.wait(-1);
  room.clock.nowMs = kernel.monotonicMs();
  for (let index = 0; index < count; index++) {
    const fd = poll.fdAt(index);
    if (fd === listener) accept(generation++);
    else if (flows.get(fd)?.generation === poll.generationAt(index)) {
      const flow = flows.get(fd);
      flow.sides.find((side) => side.fd === fd).notice(poll.eventsAt(index));
      run(flow);
    }
  }
}

function accept(generation) {
  const fd = kernel.accept4(listener, 0, 0, lib.Socket.SOCK_NONBLOCK | lib.Socket.SOCK_CLOEXEC);
  if (fd < 0) return;
  const upstream = lib.openConnection(kernel, inet(host, upstreamPort));
  if (upstream < 0) return lib.resetSocket(kernel, fd);
  const sides = [fd, upstream].map((side) => new lib.PlainTransport(kernel, side, true));
  const [a, b] = sides;
  const pumps = [new lib.Pump(room, meter, a, b), new lib.Pump(room, meter, b, a)];
  const flow = { generation, sides, pumps, open: new Set(pumps) };
  for (const side of sides) {
    flows.set(side.fd, flow);
    poll.add(side.fd, EDGES, generation);
  }
}

function run(flow) {
  for (const pump of flow.open) {
    let result = pump.run();
    while (result === PumpResult.Yielded) result = pump.run();
    if (result === PumpResult.Waiting) continue;
    const isWell = result === PumpResult.Ended && pump.sink.shutdownWrite() !== Outcome.Failed;
    if (!isWell) return end(flow, true);
    flow.open.delete(pump);
  }
  if (flow.open.size === 0) end(flow, false);
}

function end({ sides, pumps }, isBroken) {
  for (const pump of pumps) pump.release();
  for (const side of sides) {
    flows.delete(side.fd);
    if (isBroken) side.reset();
    else side.close();
  }
}
