import { type Parsed, readContent } from '../../config/index.js';

/** A small file that may change while the program runs: its last content that was good. */
export class WatchedFile<Value> {
  private value: Value;
  private content: Buffer;

  /** @throws Error with one line when it is not good to begin with */
  constructor(
    readonly path: string,
    private readonly parse: (content: Buffer, before: Value | undefined) => Parsed<Value>,
  ) {
    const content = readContent(path);
    const parsed = content.ok ? parse(content.value, undefined) : content;
    if (!parsed.ok) throw new Error(`${path}: ${parsed.reason}`);
    this.content = (content as { value: Buffer }).value;
    this.value = parsed.value;
  }

  get current(): Value {
    return this.value;
  }

  get bytes(): Uint8Array {
    return this.content;
  }

  /** Reads it again: whether it is another one, or why it stays the one it was. */
  refresh(): Parsed<boolean> {
    const content = readContent(this.path);
    if (!content.ok) return content;
    if (content.value.equals(this.content)) return { ok: true, value: false };
    const parsed = this.parse(content.value, this.value);
    if (!parsed.ok) return parsed;
    this.content = content.value;
    this.value = parsed.value;
    return { ok: true, value: true };
  }
}
