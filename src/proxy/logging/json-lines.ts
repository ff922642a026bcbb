import type { LineKeeper, LineMemory } from './line-memory.js';

/** pino's `info`. */
const LEVEL = 30;
const QUOTE = 0x22;
const OPEN = 0x7b;
const CLOSE = 0x7d;

const encoder = new TextEncoder();
const pieces = { true: encoder.encode('true'), false: encoder.encode('false') };

/**
 * What lines that say the same `msg` have in common: the end of each, and the order of their keys as far as it was
 * seen.
 */
export class LineKind {
  readonly end: Uint8Array;
  /** By position: the name of a key, and how it is written. */
  readonly names: string[] = [];
  readonly keys: Uint8Array[] = [];

  /** @param message the last word of each line */
  constructor(message: string) {
    this.end = encoder.encode(`,"msg":${JSON.stringify(message)}}\n`);
  }
}

/**
 * Writes objects as lines of JSON, byte for byte what pino would write for them (test/proxy/logging), at a third of its
 * price: there may be one for every request. A key without a value (undefined) is left out.
 */
export class JsonLines {
  private readonly memory: LineMemory;
  private readonly bindings: string;
  /** How keys of objects within objects are written. */
  private readonly innerKeys = new Map<string, Uint8Array>();
  private begin = new Uint8Array();
  private beginMs = Number.NaN;

  /** @param bindings what each line says behind its time */
  constructor(
    private readonly keeper: LineKeeper,
    bindings: object = {},
  ) {
    this.memory = keeper.memory;
    this.bindings = JSON.stringify(bindings).slice(1, -1);
  }

  /**
   * @param fields objects with the same keys in the same order for each kind; numbers, texts, truth values, and
   *   objects of these
   */
  write(fields: object, { names, keys, end }: LineKind): void {
    const { memory } = this;
    memory.addPiece(this.beginNow());
    let position = 0;
    for (const name in fields) {
      const value = (fields as Record<string, unknown>)[name];
      if (value !== undefined) {
        if (names[position] !== name) {
          names[position] = name;
          keys[position] = encodeKey(name);
        }
        memory.addPiece(keys[position]!);
        this.add(value);
      }
      position++;
    }
    memory.addPiece(end);
    this.keeper.lineWritten();
  }

  private add(value: unknown): void {
    if (typeof value === 'string') this.addString(value);
    else if (typeof value === 'number' && Number.isFinite(value)) this.memory.addNumber(value);
    else if (typeof value === 'boolean') this.memory.addPiece(value ? pieces.true : pieces.false);
    else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      this.addObject(value);
    } else this.memory.addText(JSON.stringify(value));
  }

  private addString(text: string): void {
    const { memory } = this;
    memory.addByte(QUOTE);
    if (!memory.addPlain(text)) memory.addText(JSON.stringify(text).slice(1, -1));
    memory.addByte(QUOTE);
  }

  private addObject(fields: object): void {
    const { memory, innerKeys } = this;
    memory.addByte(OPEN);
    let isFirst = true;
    for (const name in fields) {
      const value = (fields as Record<string, unknown>)[name];
      if (value === undefined) continue;
      let key = innerKeys.get(name);
      if (key === undefined) {
        key = encodeKey(name);
        innerKeys.set(name, key);
      }
      memory.addPiece(key, isFirst ? 1 : 0);
      isFirst = false;
      this.add(value);
    }
    memory.addByte(CLOSE);
  }

  /** The begin of a line, made once a millisecond. */
  private beginNow(): Uint8Array {
    const nowMs = Date.now();
    if (nowMs !== this.beginMs) {
      this.beginMs = nowMs;
      const { bindings } = this;
      const start = `{"level":${LEVEL},"time":${nowMs}`;
      this.begin = encoder.encode(bindings === '' ? start : `${start},${bindings}`);
    }
    return this.begin;
  }
}

function encodeKey(name: string): Uint8Array {
  return encoder.encode(`,${JSON.stringify(name)}:`);
}
