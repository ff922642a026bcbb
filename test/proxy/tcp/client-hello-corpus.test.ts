import t from 'tap';
import { ClientHello, PARTIAL, parseClientHello } from '#src/proxy/tcp/index.js';
import { recordedHellos } from '#test/corpus/client-hellos.js';
import { answers, exact, guarded } from './feeding.js';

const hello = new ClientHello();
const parse = (bytes: Buffer, start: number, end: number) =>
  parseClientHello(bytes, start, end, hello);

/** Where the handshake records at the beginning end: all that is in them is the hello. */
function handshakeEnd(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length && bytes[at] === 22) at += 5 + bytes.readUInt16BE(at + 3);
  return at;
}

const recorded = recordedHellos();

t.test('client hello corpus: all clients are there', async (t) => {
  const names = recorded.map(({ name }) => name.replace(/[-0-9].*/, ''));
  t.same(
    [...new Set(names)].sort(),
    ['chromium', 'curl', 'gnutls', 'java', 'node', 'openssl', 'python'].sort(),
  );
});

for (const { name, client, bytes, ...asked } of recorded) {
  t.test(`client hello corpus: ${name} (${client})`, async (t) => {
    const end = handshakeEnd(bytes);
    t.equal(parse(exact(bytes), 0, bytes.length), end, 'up to the end of its records');
    t.same(
      {
        serverName: hello.serverName,
        alpn: [...hello.alpn],
        version: hello.version,
        isEncrypted: hello.isEncrypted,
      },
      asked,
    );
    t.equal(parse(guarded(bytes), 0, bytes.length), end, 'guarded');
    const series = answers(bytes, parse);
    t.ok(
      series.every((answer, length) => answer === (length < end ? PARTIAL : end)),
      'byte by byte: partial to the end, then whole',
    );
  });
}
