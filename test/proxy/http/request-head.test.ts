import t, { type Test } from 'tap';
import { PARTIAL, RequestHead } from '#src/proxy/http/index.js';
import { answers, broken, embedded, exact, guarded } from '#test/proxy/tcp/feeding.js';
import { describeAnswer, describeRequest } from './describe.js';
import { caseFiles, readCases, writeCases } from './golden.js';

const limits = { headBytes: 8192, headers: 20 };
const head = new RequestHead(limits);
const parse = (bytes: Buffer, start: number, end: number) => head.parse(bytes, start, end);

/** Reads a head in one piece. */
function read(bytes: Buffer): string {
  const answer = parse(exact(bytes), 0, bytes.length);
  return answer > 0
    ? `${describeAnswer(answer)}\n${describeRequest(head)}`
    : describeAnswer(answer);
}

/** Reads it as it grows to each of these lengths in turn. */
function readGrowing(bytes: Buffer, lengths: readonly number[]): string {
  let seen = 0;
  for (const length of [...lengths, bytes.length]) {
    const part = exact(bytes.subarray(0, length));
    const answer = head.parse(part, 0, part.length, seen);
    if (answer > 0) return `${describeAnswer(answer)}\n${describeRequest(head)}`;
    if (answer < 0) return describeAnswer(answer);
    seen = length;
  }
  return describeAnswer(PARTIAL);
}

for (const file of caseFiles('request-')) {
  const cases = readCases(file);
  if (process.env.UPDATE) {
    writeCases(
      file,
      cases.map((golden) => ({ ...golden, found: read(golden.bytes) })),
    );
    continue;
  }
  for (const { name, bytes, expected } of cases) {
    t.test(`${file}: ${name}`, async (t) => feed(t, bytes, expected));
  }
}

function feed(t: Test, bytes: Buffer, expected: string): void {
  t.equal(read(bytes), expected, 'whole');
  const answer = parse(exact(bytes), 0, bytes.length);
  for (const fill of [0x00, 0x0a, 0x41, 0xff]) {
    t.equal(parse(...embedded(bytes, 3, fill)), answer, `among bytes of ${fill}`);
  }
  t.equal(parse(guarded(bytes), 0, bytes.length), answer, 'guarded');
  t.equal(broken([...answers(bytes, parse).entries()]), undefined, 'every prefix');
  const each = Array.from({ length: bytes.length }, (_, length) => length);
  t.equal(readGrowing(bytes, each), expected, 'byte by byte');
  const differing = each.filter((cut) => readGrowing(bytes, [cut]) !== expected);
  t.same(differing, [], 'cut in two at every place');
}
