// Run in a network namespace: a proxy, an origin and a client in one process, and which congestion control each end of
// their connections has. Its argument is a JSON object: `bind` of the listener, `listener` and `upstream` with their
// `socket` options. Its output is one line, a JSON object with the congestion controls of `client`, `accepted`,
// `connecting` and `origin`.
import { execFileSync } from 'node:child_process';
import net from 'node:net';
import { start } from '#src/index.js';

const {
  bind,
  listener = {},
  upstream = {},
} = JSON.parse(process.argv[2]!) as {
  bind: string;
  listener?: object;
  upstream?: object;
};

const origin = net.createServer((socket) => socket.pipe(socket));
await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
const originPort = (origin.address() as net.AddressInfo).port;
const headgate = await start(
  JSON.stringify({
    workers: 1,
    log: { level: 'silent' },
    listeners: { a: { bind, socket: listener, tcp: { upstream: 'b' } } },
    upstreams: { b: { endpoints: [`127.0.0.1:${originPort}`], socket: upstream } },
  }),
);
const port = Number(/\d+$/.exec(headgate.addresses[0]!.address)![0]);
const client = net.connect(port, '127.0.0.1');
await new Promise<void>((resolve) => {
  client.once('data', () => resolve());
  client.write('there?');
});

// Two lines a socket: addresses, and what TCP_INFO says, in which the congestion control is a word of its own.
const listed = execFileSync('ss', ['-Htin', 'state', 'established'], { encoding: 'utf8' });
const found = new Map<string, string>();
for (const [, local, remote, info] of listed.matchAll(/:(\d+) +\S+:(\d+) *\n\t(.*)/g)) {
  const [from, to] = [Number(local), Number(remote)];
  const name = /\b(?:reno|cubic|bbr)\b/.exec(info!)?.[0] ?? info!;
  if (from === port) found.set('accepted', name);
  if (to === port) found.set('client', name);
  if (from === originPort) found.set('origin', name);
  if (to === originPort) found.set('connecting', name);
}
console.log(JSON.stringify(Object.fromEntries(found)));
client.destroy();
await headgate.close();
origin.close();
