import { randomBytes } from 'node:crypto';
import type { HeadWriter } from '../head-writer.js';

const PREFIX_BYTES = 10;
const SEQUENCE_DIGITS = 12;
/** Sequences stay exact as doubles, and within their digits. */
const SEQUENCE_MAX = 16 ** SEQUENCE_DIGITS;

const DIGITS = Buffer.from('0123456789abcdef', 'latin1');

/**
 * Makes ids of requests: 80 random bits of the worker and a number, as 32 hexadecimal digits. Unique
 * everywhere, for all practical purposes, without asking for randomness each time; nobody should take
 * one for a secret. A request keeps the number, and the text is made when it is needed.
 */
export class RequestIds {
  private readonly prefix: Buffer;
  private sequence = 0;

  constructor(random: Buffer = randomBytes(PREFIX_BYTES)) {
    this.prefix = Buffer.from(random.toString('hex'), 'latin1');
  }

  /** A number for a request, from 1. */
  next(): number {
    this.sequence = (this.sequence + 1) % SEQUENCE_MAX;
    return this.sequence;
  }

  write(sequence: number, out: HeadWriter): void {
    out.literal(this.prefix);
    const [high, low] = [Math.floor(sequence / 0x1000000), sequence % 0x1000000];
    for (let shift = 20; shift >= 0; shift -= 4) out.byte(DIGITS[(high >>> shift) & 15]!);
    for (let shift = 20; shift >= 0; shift -= 4) out.byte(DIGITS[(low >>> shift) & 15]!);
  }

  text(sequence: number): string {
    return this.prefix.toString('latin1') + sequence.toString(16).padStart(SEQUENCE_DIGITS, '0');
  }
}
