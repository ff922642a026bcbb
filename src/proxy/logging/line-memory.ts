const DIGIT_0 = 0x30;
const POINT = 0x2e;
const TEN = 10;
const SMALL_MAX = 0x7fffffff;
/** From here on one call for all of a text is cheaper than a look at each character. */
const LONG_CHARS = 48;
/** Where a call of `set` is as cheap as the bytes one by one. */
const LONG_BYTES = 16;
/** UTF-8 takes so many bytes for a character of a string, at most. */
const UTF8_BYTES_MAX = 3;
/** A number and its sign. */
const NUMBER_CHARS_MAX = 24;
const THOUSAND = 1000;

/** All but what a string of JSON has as it is: printable ASCII without quote and backslash. */
const notPlain = /[^ !#-[\]-~]/;
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const TILDE = 0x7e;

/** Whoever keeps lines, with those already there. */
export interface LineKeeper {
  /** A line is written here, behind the last one. */
  readonly memory: LineMemory;
  /** It is whole, with its newline. */
  lineWritten(): void;
}

/**
 * Lines of text as bytes, one after the other. It grows with a line that is long, and is as small as before once
 * its lines were taken.
 */
export class LineMemory {
  /** Bytes of it that are written. */
  length = 0;
  private buffer!: Buffer;
  /** The same memory: V8 knows more about it. */
  private bytes!: Uint8Array;

  /** @param usualBytes as large as this, unless it must be larger */
  constructor(private readonly usualBytes: number) {
    this.allocate(usualBytes);
  }

  /** What was written, which is nobody else's; the memory is empty then. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(this.length);
    taken.set(this.bytes.subarray(0, this.length));
    this.clear();
    return taken;
  }

  clear(): void {
    this.length = 0;
    if (this.bytes.length > this.usualBytes) this.allocate(this.usualBytes);
  }

  /** @param from the first byte that counts */
  addPiece(piece: Uint8Array, from = 0): void {
    const count = piece.length - from;
    this.reserve(count);
    const { bytes, length } = this;
    if (count >= LONG_BYTES && from === 0) bytes.set(piece, length);
    else for (let index = 0; index < count; index++) bytes[length + index] = piece[from + index]!;
    this.length = length + count;
  }

  addByte(byte: number): void {
    this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  /** Any text, as UTF-8. */
  addText(text: string): void {
    this.reserve(text.length * UTF8_BYTES_MAX);
    this.length += this.buffer.write(text, this.length);
  }

  /** @returns false, and nothing is added, when it has anything that is not as it is in a string of JSON */
  addPlain(text: string): boolean {
    const count = text.length;
    this.reserve(count);
    if (count >= LONG_CHARS) {
      if (notPlain.test(text)) return false;
      this.length += this.buffer.write(text, this.length, 'latin1');
      return true;
    }
    const { bytes, length } = this;
    for (let index = 0; index < count; index++) {
      const code = text.charCodeAt(index);
      if (!isPlain(code)) return false;
      bytes[length + index] = code;
    }
    this.length = length + count;
    return true;
  }

  /** As JavaScript writes it. @param value not NaN, and not infinite */
  addNumber(value: number): void {
    this.reserve(NUMBER_CHARS_MAX);
    if ((value | 0) === value && value >= 0) {
      this.addDigits(value);
      return;
    }
    const thousandths = Math.round(value * THOUSAND);
    if (!(thousandths >= 0 && thousandths <= SMALL_MAX && thousandths / THOUSAND === value)) {
      this.addText(String(value));
      return;
    }
    const whole = Math.floor(thousandths / THOUSAND);
    this.addDigits(whole);
    const rest = thousandths - whole * THOUSAND;
    if (rest !== 0) this.addThousandths(rest);
  }

  /** @param value a small integer, there is room for its digits */
  private addDigits(value: number): void {
    const { bytes, length } = this;
    let digits = 1;
    for (let left = value; left >= TEN; left = (left / TEN) | 0) digits++;
    let left = value;
    for (let at = length + digits - 1; at >= length; at--) {
      const tenth = (left / TEN) | 0;
      bytes[at] = DIGIT_0 + left - tenth * TEN;
      left = tenth;
    }
    this.length = length + digits;
  }

  /** Behind the point, without zeros at the end. @param value 1 to 999 */
  private addThousandths(value: number): void {
    const { bytes } = this;
    bytes[this.length++] = POINT;
    let left = value;
    for (let unit = THOUSAND / TEN; left > 0; unit /= TEN) {
      const digit = (left / unit) | 0;
      bytes[this.length++] = DIGIT_0 + digit;
      left -= digit * unit;
    }
  }

  private reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const { bytes } = this;
    this.allocate(Math.max(needed, bytes.length * 2));
    this.bytes.set(bytes.subarray(0, this.length));
  }

  private allocate(size: number): void {
    this.buffer = Buffer.allocUnsafeSlow(size);
    this.bytes = new Uint8Array(this.buffer.buffer);
  }
}

function isPlain(code: number): boolean {
  return code >= SPACE && code <= TILDE && code !== QUOTE && code !== BACKSLASH;
}
