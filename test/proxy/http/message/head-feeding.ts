// A head in every way it can arrive, compared with how it is read in one piece.
import type { Test } from 'tap';
import { PARTIAL } from '#src/proxy/http/index.js';
import { answers, broken, embedded, exact, guarded } from '#test/proxy/tcp/feeding.js';
import { describeAnswer } from './describe.js';

/** A parser of heads, and what it read last. */
export interface HeadReading {
  parse(bytes: Buffer, start: number, end: number, seenBytes?: number): number;
  describe(): string;
}

/** Reads a head in one piece. */
export function read(reading: HeadReading, bytes: Buffer): string {
  return outcome(reading, reading.parse(exact(bytes), 0, bytes.length));
}

/** Reads it as it grows to each of these lengths in turn. */
export function readGrowing(
  reading: HeadReading,
  bytes: Buffer,
  lengths: readonly number[],
): string {
  let seen = 0;
  for (const length of [...lengths, bytes.length]) {
    const part = exact(bytes.subarray(0, length));
    const answer = reading.parse(part, 0, part.length, seen);
    if (answer !== PARTIAL) return outcome(reading, answer);
    seen = length;
  }
  return describeAnswer(PARTIAL);
}

export function feed(t: Test, reading: HeadReading, bytes: Buffer, expected: string): void {
  const parse = (...range: [Buffer, number, number]) => reading.parse(...range);
  t.equal(read(reading, bytes), expected, 'whole');
  const answer = parse(exact(bytes), 0, bytes.length);
  for (const fill of [0x00, 0x0a, 0x41, 0xff]) {
    t.equal(parse(...embedded(bytes, 3, fill)), answer, `among bytes of ${fill}`);
  }
  t.equal(parse(guarded(bytes), 0, bytes.length), answer, 'guarded');
  t.equal(broken([...answers(bytes, parse).entries()]), undefined, 'every prefix');
  const each = Array.from({ length: bytes.length }, (_, length) => length);
  t.equal(readGrowing(reading, bytes, each), expected, 'byte by byte');
  const differing = each.filter((cut) => readGrowing(reading, bytes, [cut]) !== expected);
  t.same(differing, [], 'cut in two at every place');
}

function outcome({ describe }: HeadReading, answer: number): string {
  return answer > 0 ? `${describeAnswer(answer)}\n${describe()}` : describeAnswer(answer);
}
