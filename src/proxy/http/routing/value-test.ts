import { RE2JS } from 're2js';
import type { ValueMatchSnapshot } from '../http-snapshot.js';

/** What a value must be, compiled. */
export class ValueTest {
  /** The value must not be there. */
  readonly wantsNone: boolean;
  /** It is enough that there is one. */
  readonly takesAny: boolean;
  /** A character a byte, as values of a head are read. */
  private readonly text: string | undefined;
  private readonly bytes: Buffer | undefined;
  private readonly expression: RE2JS | undefined;

  /** @param encoding of the values that are asked about: heads have bytes, queries are decoded */
  constructor(match: ValueMatchSnapshot, encoding: 'bytes' | 'text') {
    this.wantsNone = match.kind === 'none';
    this.takesAny = match.kind === 'any';
    if (match.kind === 'exact') {
      this.bytes = Buffer.from(match.text);
      this.text = encoding === 'bytes' ? this.bytes.toString('latin1') : match.text;
    }
    if (match.kind === 'regex') this.expression = RE2JS.compile(match.text);
  }

  /** @param value undefined when there is none */
  fits(value: string | undefined): boolean {
    if (value === undefined) return this.wantsNone;
    if (this.takesAny) return true;
    if (this.wantsNone) return false;
    return this.text !== undefined ? value === this.text : this.expression!.test(value);
  }

  /** The same for bytes[start, end), without making a string where none is needed. */
  fitsBytes(bytes: Buffer, start: number, end: number): boolean {
    if (this.takesAny) return true;
    if (this.wantsNone) return false;
    const wanted = this.bytes;
    if (wanted === undefined) return this.expression!.test(bytes.toString('latin1', start, end));
    if (wanted.length !== end - start) return false;
    for (let index = 0; index < wanted.length; index++) {
      if (wanted[index] !== bytes[start + index]) return false;
    }
    return true;
  }
}
