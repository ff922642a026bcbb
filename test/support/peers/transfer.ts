// Both ends of verified transfers as a program, for places a test cannot reach itself (a network namespace), and for
// bulk that must not share the test's event loop.
//
//   transfer serve ADDRESS                    origin; prints `serving ADDRESS`
//   transfer get|put ADDRESS BYTES [COUNT]    client; prints `done BYTES MILLISECONDS` and exits 0 when all was exact
//
// A client opens with a request of 64 bytes. `get BYTES SEED` and `put BYTES SEED`: the bytes and FIN follow, then an
// acknowledgement of what was received, `ok` and FIN. `echo`: whatever follows is sent back.
import { ByteStream } from '../bytes.js';
import { Origin } from './origin.js';
import { Peer } from './peer.js';

/** Length of a request, filled up with blanks. */
const requestBytes = 64;

async function serve(peer: Peer): Promise<void> {
  const request = (await peer.receive(requestBytes)).toString();
  const [verb, length, seed] = request.trim().split(' ');
  const stream = new ByteStream(Number(seed));
  if (verb === 'echo') {
    for (let chunk = await peer.read(); chunk !== undefined; chunk = await peer.read()) {
      await peer.send(chunk);
    }
    peer.end();
  } else if (verb === 'get') {
    await peer.sendStream(stream, Number(length));
    peer.end();
    await acknowledged(peer);
  } else {
    await peer.receiveStream(stream, Number(length));
    await peer.receiveEnd();
    await peer.send('ok');
    peer.end();
  }
}

async function acknowledged(peer: Peer): Promise<void> {
  if ((await peer.receive(2)).toString() !== 'ok') throw new Error('not acknowledged');
  await peer.receiveEnd();
}

async function request(verb: string, address: string, length: number, seed: number): Promise<void> {
  const peer = await Peer.connect(address);
  const stream = new ByteStream(seed);
  await peer.send(`${verb} ${length} ${seed}`.padEnd(requestBytes));
  if (verb === 'get') {
    await peer.receiveStream(stream, length);
    await peer.receiveEnd();
    await peer.send('ok');
    peer.end();
  } else {
    await peer.sendStream(stream, length);
    peer.end();
    await acknowledged(peer);
  }
}

const [verb, address, length, count = '1'] = process.argv.slice(2);
if (verb === 'serve') {
  const origin = await Origin.listen(address, (peer) =>
    serve(peer).catch((error: Error) => console.error(`origin: ${error.message}`)),
  );
  console.log(`serving ${origin.address}`);
} else {
  const startMs = performance.now();
  for (let seed = 0; seed < Number(count); seed++) {
    await request(verb!, address!, Number(length), seed);
  }
  const elapsedMs = Math.round(performance.now() - startMs);
  console.log(`done ${Number(length) * Number(count)} ${elapsedMs}`);
  process.exit(0);
}
