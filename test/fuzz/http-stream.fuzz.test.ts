import t from 'tap';
import { Method } from '#src/proxy/http/index.js';
import { goldenCases } from '#test/proxy/http/message/golden.js';
import {
  requestDifference,
  responseDifference,
} from '#test/proxy/http/message/llhttp-difference.js';
import { readRequests, readResponses } from '#test/proxy/http/message/messages.js';
import { clientReading, serverReading } from '#test/support/http/llhttp.js';
import { Random } from '#test/support/random.js';
import { fuzzEach } from './mutation.js';

const SEED = Random.seed();

const goldenBytes = (prefix: string) =>
  goldenCases(prefix)
    .map(({ bytes }) => bytes)
    .filter(({ length }) => length < 1000);
const post = Buffer.from('POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
const next = Buffer.from('GET /next HTTP/1.1\r\nHost: a\r\n\r\n');
const ok = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
const chunked = goldenBytes('chunked-');

/** Pieces of random sizes. */
function cut(bytes: Buffer, random: Random): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = random.oneIn(3) ? bytes.length : at + random.between(1, 60);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

t.test(`fuzz: a client’s stream is framed as llhttp frames it (SEED=${SEED})`, async (t) => {
  const seeds = [
    ...goldenBytes('request-').map((bytes) => Buffer.concat([bytes, next])),
    ...chunked.map((bytes) => Buffer.concat([post, bytes, next])),
    Buffer.concat([next, post, Buffer.from('5\r\nhello\r\n0\r\n\r\n'), next, next]),
  ];
  let accepted = 0;
  await fuzzEach(t, seeds, SEED, async (bytes, random) => {
    const ours = readRequests(bytes);
    accepted += ours.messages.length;
    return requestDifference(ours, await serverReading(cut(bytes, random)));
  });
  t.ok(accepted > 10, `${accepted} messages`);
});

t.test(`fuzz: responses are framed as llhttp frames them (SEED=${SEED})`, async (t) => {
  const seeds = [
    ...goldenBytes('response-'),
    ...chunked.map((bytes) => Buffer.concat([ok, bytes])),
  ];
  let accepted = 0;
  await fuzzEach(t, seeds, SEED, async (bytes, random) => {
    const method = random.pick(['GET', 'HEAD', 'POST'] as const);
    const ours = readResponses(bytes, Method[method]);
    accepted += ours.messages.length;
    return responseDifference(ours, await clientReading(cut(bytes, random), method), method);
  });
  t.ok(accepted > 10, `${accepted} messages`);
});
