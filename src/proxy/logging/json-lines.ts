import type { LineKeeper, LineMemory } from './line-memory.js';

/** pino's `info`. */
const LEVEL = 30;
const QUOTE = 0x22;
const OPEN = 0x7b;
const CLOSE = 0x7d;

const encoder = new TextEncoder();
const pieces = { true: encoder.encode('true'), false: encoder.encode('false') };

/**
 * Writes objects as lines of JSON, byte for byte what pino would write for them (test/proxy/logging), at a third of its
 * price: there may be one for every request. A key without a value (undefined) is left out.
 */
export class JsonLines {
  private readonly memory: LineMemory;
  private readonly bindings: string;
  /** How keys are written, and what is behind the last one: by name, and by message. */
  private readonly keys = new Map<string, Uint8Array>();
  private readonly ends = new Map<string, Uint8Array>();
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
   * @param fields numbers, texts, truth values, and objects of these
   * @param message one of a few: what the line is about
   */
  write(fields: object, message: string): void {
    const { memory } = this;
    memory.addPiece(this.beginNow());
    this.addFields(fields, false);
    memory.addPiece(pieceOf(this.ends, message, encodeEnd));
    this.keeper.lineWritten();
  }

  private addFields(fields: object, isFirst: boolean): void {
    const { memory, keys } = this;
    let from = isFirst ? 1 : 0;
    for (const name in fields) {
      const value = (fields as Record<string, unknown>)[name];
      if (value === undefined) continue;
      // A key has its comma before it.
      memory.addPiece(pieceOf(keys, name, encodeKey), from);
      from = 0;
      this.add(value);
    }
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
    const { memory } = this;
    memory.addByte(OPEN);
    this.addFields(fields, true);
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

/** Found among those that were made before, or made. */
function pieceOf(
  pieces: Map<string, Uint8Array>,
  text: string,
  make: (text: string) => Uint8Array,
): Uint8Array {
  let piece = pieces.get(text);
  if (piece === undefined) {
    piece = make(text);
    pieces.set(text, piece);
  }
  return piece;
}

function encodeKey(name: string): Uint8Array {
  return encoder.encode(`,${JSON.stringify(name)}:`);
}

function encodeEnd(message: string): Uint8Array {
  return encoder.encode(`,"msg":${JSON.stringify(message)}}\n`);
}
