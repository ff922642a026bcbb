/**
 * A Buffer with what `toString('latin1')` and `write(text, 'latin1')` come to. These are not documented, but
 * spare looking for the encoding each time.
 */
export interface Latin1Buffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, offset: number): number;
}
