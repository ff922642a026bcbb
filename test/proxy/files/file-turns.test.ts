import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKernel, Errno, getOption, SocketOption } from '#src/splice/index.js';
import { fileHttp, filesTest } from '#test/support/http/files-rig.js';

const { IPPROTO_TCP, TCP_MAXSEG } = SocketOption;
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
  'turns: a long download sends full segments in each turn, a shorter one takes no more turns for it',
  { long: 'x'.repeat(9 * SHARE_BYTES + 1), short: 'x'.repeat(2 * SHARE_BYTES) },
  (root) => fileHttp(root),
  (rig, t) => {
    const { room } = rig;
    const kernel = createKernel();
    const wanted: number[] = [];
    const full: number[] = [];
    room.libc.script('sendfile', (args, real) => {
      const segment = getOption(kernel, args[0] as number, IPPROTO_TCP, TCP_MAXSEG);
      wanted.push(args[3] as number);
      full.push(SHARE_BYTES - (SHARE_BYTES % segment));
      return real(...args);
    });
    const client = room.client();
    const download = (path: string, bytes: number) => {
      wanted.length = 0;
      full.length = 0;
      const had = client.receivedBytes;
      client.send(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`));
      room.until(() => {
        client.receive();
        return client.receivedBytes - had > bytes;
      });
      room.settle();
      return wanted;
    };
    const long = download('/long', 9 * SHARE_BYTES + 1);
    t.equal(long[0], full[0]);
    t.ok(
      long.some((bytes, at) => bytes === full[at] && bytes < SHARE_BYTES),
      `${long}`,
    );
    t.ok(
      long.slice(0, -2).every((bytes, at) => bytes <= full[at]!),
      `${long} beside ${full}`,
    );
    t.equal(download('/short', 2 * SHARE_BYTES)[0], SHARE_BYTES);
    // Not TCP: there are no segments.
    room.libc.script('getsockopt', (args, real) =>
      args[2] === TCP_MAXSEG ? -Errno.EOPNOTSUPP : real(...args),
    );
    t.equal(download('/long', 9 * SHARE_BYTES + 1)[0], SHARE_BYTES);
    rig.hangUp();
    client.close();
    room.until(() => room.sessions().length === 0);
    room.http.files.configure();
  },
);
