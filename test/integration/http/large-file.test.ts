// A file of more than 4 GiB from its first byte to its last.
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import t from 'tap';
import {
  createKernel,
  NativeMemory,
  orThrow,
  Sockaddr,
  Socket,
  SocketOption,
} from '#src/splice/index.js';
import { ByteStream } from '#test/support/bytes.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { expectCleanExit } from '#test/support/programs/rig.js';

/** `man 2 recv`, `man 7 socket` */
const MSG_WAITALL = 0x100;
const SO_RCVTIMEO = 20;
const TIMEOUT_SECONDS = 20;
const MIB = 1024 * 1024;
const size = 2 ** 32 + 50_001;
const stream = new ByteStream(4);
const MARK_BYTES = 5000;
/** Where there is something: the ends, and around what 31 and 32 bits can say. The rest is a hole. */
const MARKS = [0, 2 ** 31 - 2500, 2 ** 32 - 2500, size - MARK_BYTES];

t.test('files: more than 4 GiB in one answer', { timeout: 60_000 }, async (t) => {
  const root = t.testdir();
  const fd = openSync(`${root}/sparse`, 'w');
  ftruncateSync(fd, size);
  for (const mark of MARKS) writeSync(fd, stream.slice(mark, MARK_BYTES), 0, MARK_BYTES, mark);
  closeSync(fd);
  const { headgate } = await startConfigured(t, {
    listeners: { web: { bind: '127.0.0.1:0', http: { routes: [{ files: { root } }] } } },
  });
  const kernel = createKernel();
  const memory = new NativeMemory(64 * 1024);
  const client = orThrow(kernel.socket(Socket.AF_INET, Socket.SOCK_STREAM, 0), 'socket');
  t.teardown(() => kernel.close(client));
  const to = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: headgate.port });
  orThrow(kernel.connect(client, to.memory.address, to.byteLength), 'connect');
  memory.bytes.fill(0, 0, 16).writeUInt32LE(TIMEOUT_SECONDS, 0);
  const { SOL_SOCKET } = SocketOption;
  orThrow(kernel.setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, memory.address, 16), 'SO_RCVTIMEO');
  const asked = memory.bytes.write('GET /sparse HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  orThrow(kernel.send(client, memory.address, asked, Socket.MSG_NOSIGNAL), 'send');

  const receive = (length: number, flags = MSG_WAITALL) =>
    orThrow(kernel.recv(client, memory.address, length, flags), 'recv');
  let head = '';
  while (!head.endsWith('\r\n\r\n') && receive(1) === 1) {
    head += memory.bytes.toString('latin1', 0, 1);
  }
  t.match(head, `Content-Length: ${size}`);
  let at = 0;
  /** Looks at the next bytes: what is there, between holes. */
  const look = (length: number, expected: Buffer) => {
    t.equal(receive(length), length);
    t.ok(memory.bytes.subarray(0, length).equals(expected), `${length} bytes at ${at}`);
    at += length;
  };
  /** Has the kernel drop bytes (MSG_TRUNC, tcp(7)): to look at all of them takes half a minute on a busy machine. */
  const skipTo = async (position: number) => {
    while (at < position) {
      at += receive(Math.min(position - at, 64 * MIB), Socket.MSG_TRUNC);
      await new Promise(setImmediate);
    }
  };
  const hole = Buffer.alloc(MARK_BYTES);
  for (const mark of MARKS) {
    if (mark > 0) {
      await skipTo(mark - MARK_BYTES);
      look(MARK_BYTES, hole);
    }
    look(MARK_BYTES, stream.slice(mark, MARK_BYTES));
  }
  t.equal(at, size);
  t.equal(receive(1), 0, 'and there it ends');
  await expectCleanExit(t, headgate);
});
