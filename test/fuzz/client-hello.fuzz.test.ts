import t from 'tap';
import { ClientHello, parseClientHello } from '#src/proxy/tcp/index.js';
import { recordedHellos } from '#test/corpus/client-hellos.js';
import { helloMessage, record, records, serverName } from '#test/proxy/tcp/hello-builder.js';
import { Random } from '#test/support/random.js';
import { fuzz } from './mutation.js';

const SEED = Random.seed();
const hello = new ClientHello();
const other = new ClientHello();

/** Malformed, but put together before anybody looks at it. */
const filled = (fill: number) =>
  records(Buffer.concat([Buffer.from([1, 0, 0x20, 0]), Buffer.alloc(0x2000, fill)]));
const zeros = filled(0x00);
const ones = filled(0xff);

t.test(`fuzz: ClientHello (SEED=${SEED})`, async (t) => {
  const recorded = recordedHellos().map(({ bytes }) => bytes);
  const small = helloMessage({ extensions: [serverName('a.example', [9, 'x'])] });
  const seeds = [
    ...recorded,
    ...recorded
      .slice(0, 4)
      .map((bytes) => records(bytes.subarray(5, 5 + bytes.readUInt16BE(3)), 40)),
    ...[1, 2, 3, 60].map((size) => records(small, size)),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from([0x80, 0x2e, 0x01, 0x03, 0x01, 0, 0x15, 0, 0, 0, 0x10]),
    record(Buffer.from([2, 40]), 21),
  ];
  fuzz(
    t,
    {
      seeds,
      parse: (bytes, start, end) => parseClientHello(bytes, start, end, hello),
      describe: () =>
        JSON.stringify([hello.serverName, hello.alpn, hello.version, hello.isEncrypted]),
      // The memory in which messages are put together keeps what was there before.
      disturb: (fill) => {
        const bytes = fill === 0 ? zeros : ones;
        parseClientHello(bytes, 0, bytes.length, other);
      },
    },
    SEED,
  );
});
