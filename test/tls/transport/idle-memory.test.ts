import t from 'tap';
import { NativeMemory, Outcome } from '#src/splice/index.js';
import { TlsVersion } from '#src/tls/index.js';
import { allocated, mallinfo } from '#test/support/machine/mallinfo.js';
import { pause, SocketKit } from '#test/support/sockets/socket-kit.js';
import { clientContext, serverContexts, TlsPair } from '#test/support/tls/tls-pair.js';

const memory = new NativeMemory(100_000);
const PAIRS = 100;
/** Both ends after their handshake: 33 KiB with OpenSSL 3.0, up to 64 with 3.5, which keeps the keys of ML-KEM. With buffers it is 190. */
const PAIR_BYTES_MAX = 96 * 1024;
/** What traffic may leave behind: a buffer that is not given back has 16 KiB at least, that for reading 64. */
const GROWTH_MAX = 12 * 1024;

for (const [version, name] of [
  [TlsVersion.Tls12, 'TLS 1.2'],
  [TlsVersion.Tls13, 'TLS 1.3'],
] as const) {
  t.test(
    `idle memory: a quiet connection has no buffers of OpenSSL's, ${name}`,
    { timeout: 30_000, skip: mallinfo === undefined && 'this C library has no mallinfo2' },
    async (t) => {
      const kit = new SocketKit();
      const contexts = serverContexts({ ticketKeys: [Buffer.alloc(80, 1)] });
      const context = clientContext({ maxVersion: version });
      const open = () => {
        const pair = new TlsPair(kit, contexts, context);
        if (!pair.shake()) throw new Error('no handshake');
        return pair.takeOver();
      };
      type Ends = ReturnType<typeof open>;
      const talk = ({ server, client }: Ends): void => {
        for (const [one, other] of [
          [server, client],
          // A client that has just been given a ticket keeps a buffer until it writes.
          [client, server],
        ] as const) {
          // Several records, of which the last comes in two parts.
          let sent = 0;
          for (let received = 0; received < 50_000; ) {
            if (sent < 50_000) sent += Math.max(0, one.write(memory.address, 50_000 - sent));
            other.notice(1);
            const read = other.read(memory.address, 100_000);
            if (read > 0) received += read;
            else if (read !== Outcome.Blocked) throw new Error('no data');
            else {
              one.notice(4);
              pause(1);
            }
          }
        }
      };
      const warm = Array.from({ length: 20 }, open);
      for (const ends of warm) talk(ends);
      const before = allocated();
      const pairs = Array.from({ length: PAIRS }, open);
      const opened = allocated();
      for (const ends of pairs) talk(ends);
      const growth = (allocated() - opened) / PAIRS;
      const each = (opened - before) / PAIRS;
      t.ok(each < PAIR_BYTES_MAX, `${each} bytes a pair`);
      t.ok(growth < GROWTH_MAX, `${growth} bytes more after it has talked`);
      for (const { server, client } of [...warm, ...pairs]) {
        client.close();
        server.close();
      }
      kit.closeAll();
      contexts.release();
      context.release();
    },
  );
}
