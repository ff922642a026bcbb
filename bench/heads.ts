// How long a head takes to be parsed: no sockets, no peers, one thread. Says nothing about a proxy; tells
// whether a change to the parser made it slower.
import { Method, RequestHead, ResponseHead } from '#src/proxy/http/index.js';

const limits = { headBytes: 32 << 10, headers: 100 };
const batch = 20_000;
const rounds = 25;

const lines = (...text: string[]) => Buffer.from(`${text.join('\r\n')}\r\n\r\n`, 'latin1');

const wrk = lines('GET / HTTP/1.1', 'Host: 127.0.0.1:8080');
const curl = lines(
  'GET /api/v1/items?page=3 HTTP/1.1',
  'Host: api.example.com',
  'User-Agent: curl/8.5.0',
  'Accept: */*',
  'Authorization: Bearer 0123456789abcdef0123456789abcdef',
);
const browser = lines(
  'GET /assets/app.3f9c2b.js HTTP/1.1',
  'Host: www.example.com',
  'Connection: keep-alive',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-US,en;q=0.9,de;q=0.8',
  'Referer: https://www.example.com/start?from=mail',
  'Cookie: session=0a1b2c3d4e5f60718293a4b5c6d7e8f9; theme=dark; consent=1',
  'If-None-Match: "65f1c2-1d4a0"',
);
const answer = lines(
  'HTTP/1.1 200 OK',
  'Server: nginx/1.22.1',
  'Date: Sat, 21 Nov 2026 03:30:02 GMT',
  'Content-Type: application/octet-stream',
  'Content-Length: 1024',
  'Last-Modified: Fri, 20 Nov 2026 10:00:00 GMT',
  'Connection: keep-alive',
  'ETag: "65f1c2-400"',
  'Accept-Ranges: bytes',
);

export async function run(): Promise<number> {
  const request = new RequestHead(limits);
  const response = new ResponseHead(limits);
  const cases: [name: string, bytes: Buffer, parse: (bytes: Buffer) => number][] = [
    ['request, wrk', wrk, (bytes) => request.parse(bytes, 0, bytes.length)],
    ['request, curl', curl, (bytes) => request.parse(bytes, 0, bytes.length)],
    ['request, browser', browser, (bytes) => request.parse(bytes, 0, bytes.length)],
    ['response, nginx', answer, (bytes) => response.parse(bytes, 0, bytes.length, Method.GET)],
  ];
  for (const [, bytes, parse] of cases) measure(bytes, parse);
  for (const [name, bytes, parse] of cases) {
    const ns = measure(bytes, parse);
    const perByte = (ns / bytes.length).toFixed(2);
    console.log(`${name.padEnd(20)}${bytes.length} bytes  ${ns.toFixed(0)} ns  ${perByte} ns/byte`);
  }
  return 0;
}

/** The best of the rounds, in ns per head: what else the machine does only makes it slower. */
function measure(bytes: Buffer, parse: (bytes: Buffer) => number): number {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startMs = performance.now();
    for (let count = 0; count < batch; count++) {
      if (parse(bytes) !== bytes.length) throw new Error('not parsed');
    }
    times.push(((performance.now() - startMs) * 1e6) / batch);
  }
  return Math.min(...times);
}
