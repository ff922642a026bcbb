import type { CaptureNote, IncompleteReason } from '../../proxy/index.js';
import { isCaptureId } from './capture-files.js';

/**
 * What is kept of a flow: its record, lines of JSON, and one file of bytes for each direction.
 *
 * ```
 *   ID.jsonl      {"format":1,"id":…}       who, where, when: CaptureHead
 *                 ["c",1234,517]            the client had sent 517 bytes 1,234 µs after the beginning
 *                 ["u",1790,4096]           and the upstream 4,096
 *                 {"end":…}                 how it ended: CaptureEnd; a flow without it was interrupted
 *   ID.client     what the client sent, and nothing else
 *   ID.upstream   what it was sent
 * ```
 *
 * A flow's files are its own. So nothing that is appended for one can spoil another, a record is as safe as its
 * last whole line, and a flow is deleted by unlinking its files: an index of all of them would have to be written
 * anew each time.
 */

export const RECORD_FORMAT = 1;

export interface CaptureHead extends CaptureNote {
  readonly format: number;
  readonly directions: 'both' | 'client' | 'upstream';
  /** ISO 8601, of the machine's clock; the times of chunks begin there and are monotonic. */
  readonly start: string;
  /** Which process wrote it: its id and when it began, as {@link processName} says it. */
  readonly process: string;
}

export interface CaptureEnd {
  readonly end: string;
  readonly duration_us: number;
  /** Bytes that passed, captured or not. */
  readonly client_bytes: number;
  readonly upstream_bytes: number;
  /** Absent for a capture that has everything. */
  readonly incomplete?: IncompleteReason;
  /** How the flow ended, in the words of the access log; absent where nobody knows. */
  readonly close?: string;
}

/** One stretch of bytes: which way, when, how many. */
export interface CaptureChunk {
  readonly direction: 'client' | 'upstream';
  /** Microseconds since the beginning. */
  readonly timeUs: number;
  readonly bytes: number;
}

export function headLine(head: CaptureHead): string {
  return `${JSON.stringify(head)}\n`;
}

export function endLine(end: CaptureEnd): string {
  return `${JSON.stringify(end)}\n`;
}

/** @param isClient the client sent them */
export function chunkLine(isClient: boolean, timeUs: number, bytes: number): string {
  return `["${isClient ? 'c' : 'u'}",${timeUs},${bytes}]\n`;
}

/**
 * A line of a record; nothing for one that is none, as the last one after a crash. What it has is what its type says, whoever
 * has written it: a disk that was damaged, another program, a later version.
 */
export function parseLine(line: string): CaptureHead | CaptureEnd | CaptureChunk | undefined {
  let value: { [name: string]: unknown } | unknown[] | null;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (Array.isArray(value)) return toChunk(value);
  if (typeof value !== 'object' || value === null) return undefined;
  if (isHeadObject(value) || isEndObject(value)) return value;
  return undefined;
}

function isHeadObject(value: { [name: string]: unknown }): value is CaptureHead & typeof value {
  const { format, id, listener, protocol, client, local, start, process } = value;
  return (
    format === RECORD_FORMAT &&
    [id, listener, protocol, client, local, process].every((one) => typeof one === 'string') &&
    isCaptureId(id as string) &&
    isTime(start)
  );
}

function isEndObject(value: { [name: string]: unknown }): value is CaptureEnd & typeof value {
  const { end, duration_us, client_bytes, upstream_bytes, incomplete, close } = value;
  return (
    isTime(end) &&
    [duration_us, client_bytes, upstream_bytes].every(isCount) &&
    [incomplete, close].every((one) => one === undefined || typeof one === 'string')
  );
}

export function isHead(line: ReturnType<typeof parseLine>): line is CaptureHead {
  return line !== undefined && 'format' in line;
}

export function isEnd(line: ReturnType<typeof parseLine>): line is CaptureEnd {
  return line !== undefined && 'end' in line;
}

export function isChunk(line: ReturnType<typeof parseLine>): line is CaptureChunk {
  return line !== undefined && 'timeUs' in line;
}

function toChunk([direction, timeUs, bytes]: unknown[]): CaptureChunk | undefined {
  if (direction !== 'c' && direction !== 'u') return undefined;
  if (!isCount(timeUs) || !isCount(bytes)) return undefined;
  return { direction: direction === 'c' ? 'client' : 'upstream', timeUs, bytes };
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
