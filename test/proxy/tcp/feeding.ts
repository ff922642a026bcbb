// Ways to hand bytes to a parser, and a buffer that notices when it is read past its end.

/** What a parser of the head answers for bytes[start, end). */
export type Parse = (bytes: Buffer, start: number, end: number) => number;

type Method = (...args: never[]) => unknown;

/** The same bytes, in an ArrayBuffer of their own that ends where they end. */
export function exact(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(new ArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

/** The same bytes, with others around them that no parser may look at. */
export function embedded(
  bytes: Uint8Array,
  before: number,
  fill: number,
): [Buffer, number, number] {
  const whole = Buffer.alloc(before + bytes.length + 64, fill);
  whole.set(bytes, before);
  return [whole, before, before + bytes.length];
}

/** A buffer that throws when an element outside is read; slow, and therefore only for some of the inputs. */
export function guarded(bytes: Uint8Array): Buffer {
  const target = exact(bytes);
  return new Proxy(target, {
    get(_, key) {
      if (typeof key === 'string' && /^-?\d+$/.test(key)) {
        if (Number(key) < 0 || Number(key) >= target.length) {
          throw new RangeError(`read at ${key} of ${target.length} bytes`);
        }
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function'
        ? checkedMethod(target, String(key), value as Method)
        : value;
    },
  });
}

/** Buffer's own methods forgive ranges that reach too far: here, they do not. */
function checkedMethod(target: Buffer, name: string, method: Method) {
  return (...args: unknown[]) => {
    const range = { copy: args.slice(2), toString: args.slice(1), subarray: args }[name] ?? [];
    for (const bound of range) {
      if (typeof bound === 'number' && (bound < 0 || bound > target.length)) {
        throw new RangeError(`${name} to ${bound} of ${target.length} bytes`);
      }
    }
    return method.apply(target, args as never[]);
  };
}

/**
 * Feeds every prefix, each in a buffer of its own length.
 * @returns the answers by length of the prefix
 */
export function answers(bytes: Uint8Array, parse: Parse): number[] {
  return Array.from({ length: bytes.length + 1 }, (_, length) =>
    parse(exact(bytes.subarray(0, length)), 0, length),
  );
}

/** Says how the answers for growing prefixes break the contract, or undefined. */
export function broken(series: readonly [length: number, answer: number][]): string | undefined {
  let before = 0;
  for (const [length, answer] of series) {
    if (!Number.isInteger(answer)) return `${answer} for ${length} bytes`;
    if (answer > length) return `consumed ${answer} of ${length} bytes`;
    if (before !== 0 && before !== answer) return `${before} became ${answer} at ${length} bytes`;
    before = answer;
  }
  return undefined;
}
