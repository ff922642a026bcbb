import { randomBytes } from 'node:crypto';
import type { HeadWriter } from '../message/index.js';

const PREFIX_BYTES = 10;
const SEQUENCE_DIGITS = 12;
/** Sequences stay exact as doubles, and within their digits. */
const SEQUENCE_MAX = 16 ** SEQUENCE_DIGITS;

/** Half of the digits: 24 bits. */
const HALF_MASK = 0xffffff;

const NAME = 'X-Request-Id: ';
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');

/**
 * Makes ids of requests: 80 random bits of the worker and a number, as 32 hexadecimal digits. Unique
 * everywhere, for all practical purposes, without asking for randomness each time; nobody should take
 * one for a secret. A request keeps the number, and the text is made when it is needed.
 */
export class RequestIds {
  /** A whole field line with the id written last, so that writing another is one copy. */
  private readonly line: Buffer;
  private readonly prefix: string;
  private sequence = 0;
  private writtenHigh = 0;

  constructor(random: Buffer = randomBytes(PREFIX_BYTES)) {
    this.prefix = random.toString('hex');
    this.line = Buffer.from(`${NAME}${this.text(0)}\r\n`, 'latin1');
  }

  /** A number for a request, from 1. */
  next(): number {
    this.sequence = (this.sequence + 1) % SEQUENCE_MAX;
    return this.sequence;
  }

  /** Writes the field with its line end. */
  writeLine(sequence: number, out: HeadWriter): void {
    this.setDigits(sequence);
    out.literal(this.line);
  }

  write(sequence: number, out: HeadWriter): void {
    this.setDigits(sequence);
    out.copy(this.line, NAME.length, this.line.length - 2);
  }

  text(sequence: number): string {
    return this.prefix + sequence.toString(16).padStart(SEQUENCE_DIGITS, '0');
  }

  private setDigits(sequence: number): void {
    const { line } = this;
    const end = line.length - 2;
    writeDigits(line, end, sequence & HALF_MASK);
    const high = Math.floor(sequence / (HALF_MASK + 1));
    // It changes every 16 million requests.
    if (high === this.writtenHigh) return;
    this.writtenHigh = high;
    writeDigits(line, end - SEQUENCE_DIGITS / 2, high);
  }
}

/** Writes six digits before `end`. */
function writeDigits(bytes: Buffer, end: number, value: number): void {
  for (let at = end - 1, rest = value; at >= end - SEQUENCE_DIGITS / 2; at--, rest >>>= 4) {
    bytes[at] = DIGITS[rest & 15]!;
  }
}
