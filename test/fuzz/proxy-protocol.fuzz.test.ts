import t from 'tap';
import {
  type ProxyEndpoints,
  ProxyHeader,
  parseProxyHeader,
  writeProxyV1,
  writeProxyV2,
} from '#src/proxy/tcp/index.js';
import { Random } from '#test/support/random.js';
import { fuzz } from './mutation.js';

const SEED = Random.seed();
let header = new ProxyHeader();

function seeds(): Buffer[] {
  const into = Buffer.alloc(1024);
  const four = { family: 'inet', host: '192.0.2.1', port: 12345 } as const;
  const six = { family: 'inet6', host: '2001:db8::1', port: 443 } as const;
  const path = { family: 'unix', path: '/run/a.sock' } as const;
  const pairs: (ProxyEndpoints | undefined)[] = [
    undefined,
    { source: four, destination: four },
    { source: six, destination: four },
    { source: path, destination: path },
  ];
  const ssl = Buffer.from([1, 0, 0, 0, 0, 0x21, 0, 2, 0x54, 0x4c]);
  const tlvs = [
    { type: 1, value: Buffer.from('h2') },
    { type: 0x20, value: ssl },
    { type: 0xea, value: Buffer.from('x') },
  ];
  return pairs.flatMap((pair) => [
    Buffer.from(into.subarray(0, writeProxyV1(into, pair))),
    Buffer.from(into.subarray(0, writeProxyV2(into, pair))),
    Buffer.from(into.subarray(0, writeProxyV2(into, pair, { tlvs }))),
    Buffer.from(into.subarray(0, writeProxyV2(into, pair, { tlvs, crc32c: true }))),
  ]);
}

t.test(`fuzz: PROXY header (SEED=${SEED})`, async (t) => {
  const parse = (bytes: Buffer, start: number, end: number) => {
    header = new ProxyHeader();
    return parseProxyHeader(bytes, start, end, header);
  };
  const describe = () => JSON.stringify({ ...header, wantedBytes: 0 });
  fuzz(t, { seeds: seeds(), parse, describe }, SEED);
});
