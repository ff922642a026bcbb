// Seeded mutation of bytes, and the promises that every parser of a head makes about whatever comes out.
import type { Test } from 'tap';
import { broken, embedded, exact, guarded, type Parse } from '#test/proxy/tcp/feeding.js';
import { Random } from '#test/support/random.js';

/** How long a target runs as part of the tests; FUZZ_MS for longer runs. */
const RUN_MS = Number(process.env.FUZZ_MS ?? 2500);
/** Prefixes tried of one input, besides the first and last few. */
const PREFIXES_MAX = 24;

/** Numbers at which lengths go wrong. */
const edges = [0, 1, 2, 3, 4, 5, 0x0d, 0x0a, 0x15, 0x16, 0x17, 0x20, 0x7f, 0x80, 0xfe, 0xff];

export interface Target {
  readonly seeds: readonly Buffer[];
  readonly parse: Parse;
  /** Makes what the parser keeps between calls different from what it was. */
  readonly disturb?: (fill: number) => void;
  /** What was read, as text, to compare two readings of the same bytes. */
  readonly describe: () => string;
}

/** One to eight changes to one of the seeds. */
export function mutate(random: Random, seeds: readonly Buffer[]): Buffer {
  let bytes = Buffer.from(random.pick(seeds));
  for (let changes = random.between(1, 8); changes > 0; changes--) {
    const at = random.between(0, bytes.length);
    const end = Math.min(bytes.length, at + random.between(0, random.oneIn(4) ? 400 : 6));
    const head = bytes.subarray(0, at);
    const tail = bytes.subarray(end);
    switch (random.between(0, 7)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << random.between(0, 7);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = random.pick(edges);
        break;
      case 2:
        if (at + 2 <= bytes.length) {
          bytes.writeUInt16BE((bytes.readUInt16BE(at) + random.between(-3, 3)) & 0xffff, at);
        }
        break;
      case 3:
        bytes = Buffer.concat([head, tail]);
        break;
      case 4:
        bytes = Buffer.concat([head, bytes.subarray(at, end), bytes.subarray(at, end), tail]);
        break;
      case 5: {
        const other = random.pick(seeds);
        const from = random.between(0, other.length);
        bytes = Buffer.concat([head, other.subarray(from, from + random.between(0, 200)), tail]);
        break;
      }
      case 6:
        bytes = Buffer.from(head);
        break;
      default:
        bytes = Buffer.concat([head, Buffer.alloc(random.between(1, 9), random.pick(edges)), tail]);
    }
  }
  return bytes;
}

/** How the parser breaks its promises on `bytes`, or undefined. */
export function fault(target: Target, bytes: Buffer, random: Random): string | undefined {
  const { parse, describe } = target;
  const input = exact(bytes);
  target.disturb?.(0x00);
  const answer = parse(input, 0, input.length);
  const meaning = answer > 0 ? describe() : '';
  target.disturb?.(0xff);
  for (const fill of [0x00, 0xff]) {
    const again = parse(...embedded(bytes, 7, fill));
    if (again !== answer) return `${answer}, but ${again} among bytes of ${fill}`;
    if (answer > 0 && describe() !== meaning) return `${meaning}, but ${describe()} elsewhere`;
  }
  if (random.oneIn(16) && parse(guarded(bytes), 0, bytes.length) !== answer) return 'guarded';
  const longer = exact(Buffer.concat([bytes, Buffer.alloc(64, random.pick(edges))]));
  const extended = parse(longer, 0, longer.length);
  if (answer !== 0 && extended !== answer) return `${answer} became ${extended} with more bytes`;
  return broken([...prefixAnswers(bytes, parse), [bytes.length, answer]]);
}

/** The answers for some prefixes: all the short ones, the longest ones, and a few between. */
function prefixAnswers(bytes: Buffer, parse: Parse): [length: number, answer: number][] {
  const step = Math.max(1, Math.floor(bytes.length / PREFIXES_MAX));
  const series: [number, number][] = [];
  for (let length = 0; length < bytes.length; ) {
    series.push([length, parse(exact(bytes.subarray(0, length)), 0, length)]);
    const isNearAnEnd = length < PREFIXES_MAX || length >= bytes.length - 8;
    length += isNearAnEnd ? 1 : Math.min(step, bytes.length - 8 - length);
  }
  return series;
}

/**
 * Runs a target for a bounded time and fails with the seed and the bytes of the first broken promise.
 * SEED repeats a run.
 */
export function fuzz(t: Test, target: Target, seed: number): void {
  const random = new Random(seed);
  const endMs = performance.now() + RUN_MS;
  const kinds = new Map<number, number>();
  let inputs = 0;
  while (performance.now() < endMs) {
    for (let round = 0; round < 50; round++, inputs++) {
      const bytes = mutate(random, target.seeds);
      let problem: string | undefined;
      try {
        problem = fault(target, bytes, random);
        const kind = Math.min(1, target.parse(bytes, 0, bytes.length));
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      } catch (error) {
        problem = `threw ${(error as Error).stack}`;
      }
      if (problem === undefined) continue;
      t.fail(problem, { seed, inputs, hex: bytes.toString('hex') });
      return;
    }
  }
  t.comment(`${inputs} inputs, ${kinds.size} kinds of answers: ${JSON.stringify([...kinds])}`);
  t.ok(kinds.has(1) && kinds.has(0) && kinds.size > 5, 'good, partial and bad ones were met');
}

/**
 * Runs a property of mutated bytes for a bounded time and fails with the seed and the first bytes that break it.
 *
 * @param check says what is wrong, or undefined
 */
export async function fuzzEach(
  t: Test,
  seeds: readonly Buffer[],
  seed: number,
  check: (bytes: Buffer, random: Random) => string | undefined | Promise<string | undefined>,
): Promise<void> {
  const random = new Random(seed);
  const endMs = performance.now() + RUN_MS;
  let inputs = 0;
  for (; performance.now() < endMs; inputs++) {
    const bytes = mutate(random, seeds);
    let problem: string | undefined;
    try {
      problem = await check(bytes, random);
    } catch (error) {
      problem = `threw ${(error as Error).stack}`;
    }
    if (problem === undefined) continue;
    t.fail(problem, { seed, inputs, hex: bytes.toString('hex'), text: bytes.toString('latin1') });
    return;
  }
  t.pass(`${inputs} inputs`);
}
