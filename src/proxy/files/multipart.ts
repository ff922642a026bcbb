import { randomBytes } from 'node:crypto';
import type { ByteRange } from './byte-ranges.js';
import type { Stretch } from './file-body.js';

/** Several parts of a file as one body (RFC 9110 §14.6): a head before each, and an end. */
export class Multipart {
  /** Value of Content-Type. */
  readonly contentType: string;
  readonly stretches: readonly Stretch[];
  /** Bytes of the whole body. */
  readonly length: number;

  /**
   * @param ranges of the file
   * @param size of all of it
   * @param contentType of all of it
   */
  constructor(ranges: readonly ByteRange[], size: number, contentType: string) {
    // Random, so that nobody can put it into a file.
    const boundary = randomBytes(12).toString('hex');
    this.contentType = `multipart/byteranges; boundary=${boundary}`;
    const stretches = ranges.flatMap((range, index): Stretch[] => [
      {
        text: Buffer.from(
          `${index === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${contentType}\r\n` +
            `Content-Range: ${contentRange(range, size)}\r\n\r\n`,
          'latin1',
        ),
      },
      range,
    ]);
    const end = { text: Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1') };
    this.stretches = [...stretches, end];
    this.length = this.stretches.reduce(
      (sum, one) => sum + ('text' in one ? one.text.length : one.end - one.start),
      0,
    );
  }
}

/** Value of Content-Range (RFC 9110 §14.4). */
export function contentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`;
}
