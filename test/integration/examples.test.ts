import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { ByteStream } from '#test/support/bytes.js';
import { within } from '#test/support/deadline.js';
import { Program, runProgram } from '#test/support/programs/program.js';

const DEADLINE_MS = 15_000;
const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const bytes = new ByteStream(7).slice(0, 5_000_003);

function command(example: string, ...args: (string | number)[]): string[] {
  const path = fileURLToPath(new URL(`../../../examples/${example}.mjs`, import.meta.url));
  return [process.execPath, path, ...args.map(String)];
}

async function start(t: Test, example: string, ...args: (string | number)[]) {
  const program = Program.start(t, command(example, 0, ...args));
  const [, port] = await program.output(/listening on (\d+)/, DEADLINE_MS);
  return { program, port: Number(port) };
}

/** Takes one connection; `received` is all of it. With `echo` it sends back what it gets. */
async function upstream(t: Test, echo = false) {
  let resolve!: (bytes: Buffer) => void;
  const received = new Promise<Buffer>((done) => {
    resolve = done;
  });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const chunks: Buffer[] = [];
    socket.on('error', () => {});
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks)));
    if (echo) socket.pipe(socket);
    else socket.on('end', () => socket.end());
  }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, received };
}

/** Sends everything, ends, and reads to the end of the answer. */
async function exchange(port: number, request: Uint8Array): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.end(request);
  try {
    await within(DEADLINE_MS, 'the answer ends', once(socket, 'end'));
  } finally {
    socket.destroy();
  }
  return Buffer.concat(chunks);
}

t.test('examples: the forwarder, eight connections at once', async (t) => {
  const { port: echo } = await upstream(t, true);
  const { port } = await start(t, 'forwarder', '127.0.0.1', echo);
  const answers = await Promise.all(Array.from({ length: 8 }, () => exchange(port, bytes)));
  for (const answer of answers) t.equal(sha(answer), sha(bytes));
});

t.test('examples: the static server sends files, and nothing from outside', async (t) => {
  const root = t.testdir({ secret: 'secret' });
  mkdirSync(join(root, 'www'));
  writeFileSync(join(root, 'www', 'file'), bytes);
  const { port } = await start(t, 'static-server', join(root, 'www'));
  const get = (path: string) => exchange(port, Buffer.from(`GET ${path} HTTP/1.1\r\n\r\n`));
  const answer = await get('/file');
  const end = answer.indexOf('\r\n\r\n') + 4;
  t.match(answer.toString('latin1', 0, end), `Content-Length: ${bytes.length}`);
  t.equal(sha(answer.subarray(end)), sha(bytes));
  for (const path of ['/none', '/../secret', '//etc/passwd']) {
    t.match((await get(path)).toString(), /^HTTP\/1\.1 404 /, path);
  }
});

t.test('examples: the tee logger forwards and logs the same bytes', async (t) => {
  const log = join(t.testdir({}), 'log');
  const { port: target, received } = await upstream(t);
  const { port } = await start(t, 'tee-logger', '127.0.0.1', target, log);
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.end(bytes);
  t.teardown(() => socket.destroy());
  t.equal(sha(await within(DEADLINE_MS, 'the upstream has all', received)), sha(bytes));
  // Written before it was forwarded.
  t.equal(sha(readFileSync(log)), sha(bytes));
});

t.test('examples: framed forwarding keeps every frame, and splices the large one', async (t) => {
  const { port: target, received } = await upstream(t);
  const { port } = await start(t, 'framed', '127.0.0.1', target);
  const frames = [0, 1, 100, 4_000_000, 7].flatMap((length) => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    return [head, bytes.subarray(0, length)];
  });
  const sent = Buffer.concat(frames);
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.end(sent);
  t.teardown(() => socket.destroy());
  t.equal(sha(await within(DEADLINE_MS, 'the upstream has all', received)), sha(sent));
});

t.test('examples: a head from memory and a file are one stream', async (t) => {
  const file = join(t.testdir({}), 'file');
  writeFileSync(file, bytes);
  const { port, received } = await upstream(t);
  await runProgram(command('head-and-file', '127.0.0.1', port, file), DEADLINE_MS);
  const expected = Buffer.concat([Buffer.from(`file of ${bytes.length}\n`), bytes]);
  t.equal(sha(await within(DEADLINE_MS, 'all has arrived', received)), sha(expected));
});

t.test('examples: the copy is the file', async (t) => {
  const directory = t.testdir({});
  writeFileSync(join(directory, 'from'), bytes);
  const words = command('copy', join(directory, 'from'), join(directory, 'to'));
  const { stdout } = await runProgram(words, DEADLINE_MS);
  t.match(stdout.toString(), `${bytes.length} bytes by `);
  t.equal(sha(readFileSync(join(directory, 'to'))), sha(bytes));
});
