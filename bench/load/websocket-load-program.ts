// The load behind websocket.ts: `node websocket-load-program.js PORT CONNECTIONS SECONDS MESSAGE_BYTES`. Prints JSON.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { loopback } from '../loopback.js';

const [port, connections, seconds, messageBytes] = process.argv.slice(2).map(Number) as [
  number,
  number,
  number,
  number,
];
const message = Buffer.alloc(messageBytes, 'x');
const latenciesUs: number[] = [];
let isOver = false;

const sockets = await Promise.all(
  Array.from({ length: connections }, async () => {
    const socket = new WebSocket(`ws://${loopback}:${port}/`, { perMessageDeflate: false });
    await once(socket, 'open');
    return socket;
  }),
);
const startMs = performance.now();
for (const socket of sockets) {
  let sentMs = 0;
  const send = () => {
    sentMs = performance.now();
    socket.send(message);
  };
  socket.on('message', (data: Buffer) => {
    if (!message.equals(data)) throw new Error(`${data.length} bytes came back changed`);
    latenciesUs.push((performance.now() - sentMs) * 1000);
    if (!isOver) send();
  });
  socket.on('close', () => {
    if (!isOver) throw new Error('a connection was closed');
  });
  send();
}
await delay(seconds * 1000);
isOver = true;
const elapsedSeconds = (performance.now() - startMs) / 1000;
const sorted = Float64Array.from(latenciesUs).sort();
const count = sorted.length;
console.log(
  JSON.stringify({
    count,
    perSecond: count / elapsedSeconds,
    p50Us: sorted[Math.floor(count * 0.5)],
    p99Us: sorted[Math.floor(count * 0.99)],
  }),
);
process.exit(0);
