import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKernel, getOption, SocketOption } from '#src/splice/index.js';
import { fileHttp, filesTest } from '#test/support/http/files-rig.js';

const { IPPROTO_TCP, TCP_CORK } = SocketOption;
const SHARE_BYTES = 512 * 1024;
const GIB = 1024 ** 3;

filesTest(
  'turns: downloads to clients that are never slow share, and nobody waits for their ends',
  { 'small.txt': 'small' },
  (root) => fileHttp(root),
  (rig, t, root) => {
    writeFileSync(join(root, 'large'), '');
    truncateSync(join(root, 'large'), GIB);
    const { room } = rig;
    // Sockets that are never full: nothing but its share ends a download's turn.
    room.libc.script('sendfile', ([, , , wanted]) => wanted!);
    const clients = Array.from({ length: 4 }, () => room.client());
    const [small, ...downloads] = clients as [(typeof clients)[0], ...typeof clients];
    const ask = (path: string) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    for (const client of downloads) client.send(ask('/large'));
    room.until(() => room.libc.count('sendfile') > downloads.length);
    const before = room.libc.trace.length;
    const turnsBefore = room.count('loop_turns');
    small.send(ask('/small.txt'));
    room.until(() => {
      small.receive();
      return small.received.includes('small');
    });
    const turns = room.count('loop_turns') - turnsBefore;
    // One for the kernel to hand over what was sent, one to accept and one to answer, and some to spare.
    t.ok(turns < 10, `answered after ${turns} turns`);
    room.settle();
    const shares = new Map<unknown, number>();
    for (const { name, args, result } of room.libc.trace.slice(before)) {
      if (name !== 'sendfile') continue;
      if (result > SHARE_BYTES) t.fail(`${result} bytes in one call`);
      shares.set(args[0], (shares.get(args[0]) ?? 0) + 1);
      const counts = [...shares.values()];
      // A turn begins with whoever has an event.
      const isFair = Math.max(...counts) - Math.min(...counts) <= 2 || shares.size < 3;
      if (!isFair) t.fail(`${counts} shares`);
    }
    t.equal(shares.size, downloads.length);
    rig.hangUp();
    for (const client of clients) client.close();
    room.until(() => room.sessions().length === 0);
    room.http.files.configure();
  },
);

filesTest(
  'turns: between the turns of a download no segment goes out that is not full, and the last one does not wait',
  { large: 'x'.repeat(3 * SHARE_BYTES + 1), share: 'x'.repeat(SHARE_BYTES) },
  (root) => fileHttp(root),
  (rig, t) => {
    const { room } = rig;
    const { libc } = room;
    const kernel = createKernel();
    const calls: string[] = [];
    libc.script('sendfile', (args, real) => {
      const sent = real(...args);
      if (sent > 0) calls.push('sendfile');
      return sent;
    });
    libc.script('setsockopt', (args, real) => {
      const result = real(...args);
      const [fd, level, name] = args as [number, number, number];
      if (level === IPPROTO_TCP && name === TCP_CORK) {
        const isCorked = getOption(kernel, fd, level, name);
        calls.push(isCorked === 0 ? 'uncork' : 'cork');
      }
      return result;
    });
    const client = room.client();
    const download = (path: string, bytes: number) => {
      calls.length = 0;
      const had = client.receivedBytes;
      client.send(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`));
      room.until(() => {
        client.receive();
        return client.receivedBytes - had > bytes;
      });
      room.settle();
      return calls.join(' ');
    };
    t.match(download('/large', 3 * SHARE_BYTES + 1), /^cork( sendfile){4,} uncork$/);
    t.match(download('/share', SHARE_BYTES), /^sendfile( sendfile)*$/);
    rig.hangUp();
    client.close();
    room.until(() => room.sessions().length === 0);
    room.http.files.configure();
  },
);
