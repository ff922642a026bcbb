import { type Parsed, readContent } from '../../config/index.js';

/** A small file that may change while the program runs: its last content that was good. */
export class WatchedFile<Value> {
  private value: Value;
  private content: Buffer;

  /** @throws Error with one line when it is not good to begin with */
  constructor(
    readonly path: string,
    private readonly parse: (content: Buffer) => Parsed<Value>,
  ) {
    const read = this.read();
    if (!read.ok) throw new Error(`${path}: ${read.reason}`);
    this.content = read.value.content;
    this.value = read.value.parsed;
  }

  get current(): Value {
    return this.value;
  }

  get bytes(): Uint8Array {
    return this.content;
  }

  /** Reads it again: whether it is another one, or why it stays the one it was. */
  refresh(): Parsed<boolean> {
    const read = this.read();
    if (!read.ok) return read;
    const isNew = !read.value.content.equals(this.content);
    this.content = read.value.content;
    this.value = read.value.parsed;
    return { ok: true, value: isNew };
  }

  private read(): Parsed<{ content: Buffer; parsed: Value }> {
    const content = readContent(this.path);
    if (!content.ok) return content;
    const parsed = this.parse(content.value);
    return parsed.ok
      ? { ok: true, value: { content: content.value, parsed: parsed.value } }
      : parsed;
  }
}
