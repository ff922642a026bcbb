import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { capturePath, isCaptureId, isRunning, parseFileName } from './capture-files.js';
import {
  type CaptureChunk,
  type CaptureEnd,
  type CaptureHead,
  isChunk,
  isEnd,
  isHead,
  parseLine,
} from './capture-record.js';

const READ_BYTES = 64 * 1024;
/** More than the longest line there is: a head with its names. */
const TAIL_BYTES = 16 * 1024;

/** A capture as it is found in a directory. */
export interface StoredCapture {
  readonly directory: string;
  readonly head: CaptureHead;
  /** Nothing while the flow is captured, or after it was interrupted. */
  readonly end: CaptureEnd | undefined;
  /** `open`: the process that captures it still runs. */
  readonly state: 'complete' | 'incomplete' | 'open';
  /** Bytes there are of each direction. */
  readonly clientBytes: number;
  readonly upstreamBytes: number;
  /** Of the last chunk that can be read, microseconds since the beginning. */
  readonly lastUs: number;
  /** Bytes of the record up to the end of its last whole line. */
  readonly wholeBytes: number;
}

/** Looks a capture up without reading its bytes. @returns nothing when there is none that can be read */
export function readCapture(directory: string, id: string): StoredCapture | undefined {
  if (!isCaptureId(id)) return undefined;
  const path = capturePath(directory, id, 'record');
  let fd: number;
  try {
    // No file of ours is anything else, and a FIFO would wait for a writer.
    if (!statSync(path).isFile()) return undefined;
    fd = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    const wholeBytes = wholeBytesOf(fd, fstatSync(fd).size);
    const [first = ''] = textAt(fd, 0, Math.min(wholeBytes, TAIL_BYTES)).split('\n');
    const head = parseLine(first);
    // Its name says whose files these are; a record of another name is not theirs.
    if (!isHead(head) || head.id !== id) return undefined;
    const tailBytes = Math.min(wholeBytes, TAIL_BYTES);
    const lines = textAt(fd, wholeBytes - tailBytes, tailBytes)
      .trimEnd()
      .split('\n')
      .map(parseLine);
    const last = lines.at(-1);
    const end = isEnd(last) ? last : undefined;
    return {
      directory,
      head,
      end,
      state: stateOf(head, end),
      clientBytes: sizeOf(capturePath(directory, id, 'client')),
      upstreamBytes: sizeOf(capturePath(directory, id, 'upstream')),
      lastUs: lines.findLast(isChunk)?.timeUs ?? 0,
      wholeBytes,
    };
  } finally {
    closeSync(fd);
  }
}

/** Every capture of a directory, oldest first. @throws NodeJS.ErrnoException */
export function listCaptures(directory: string): StoredCapture[] {
  return readdirSync(directory)
    .map(parseFileName)
    .filter((name) => name?.kind === 'record')
    .map((name) => readCapture(directory, name!.id))
    .filter((capture) => capture !== undefined)
    .sort((one, other) => Date.parse(one.head.start) - Date.parse(other.head.start));
}

/**
 * The chunks of a capture in their order, read as they are asked for. Bytes that the record does not know of,
 * because it was cut short, are one more chunk at its end.
 */
export function* chunksOf({ directory, head, lastUs }: StoredCapture): Generator<CaptureChunk> {
  const left = {
    client: sizeOf(capturePath(directory, head.id, 'client')),
    upstream: sizeOf(capturePath(directory, head.id, 'upstream')),
  };
  for (const line of linesOf(capturePath(directory, head.id, 'record'))) {
    const chunk = parseLine(line);
    if (!isChunk(chunk)) continue;
    const bytes = Math.min(chunk.bytes, left[chunk.direction]);
    left[chunk.direction] -= bytes;
    if (bytes > 0) yield { ...chunk, bytes };
  }
  for (const direction of ['client', 'upstream'] as const) {
    if (left[direction] > 0) yield { direction, timeUs: lastUs, bytes: left[direction] };
  }
}

function* linesOf(path: string): Generator<string> {
  const fd = openSync(path, 'r');
  try {
    let rest = '';
    for (let offset = 0; ; offset += READ_BYTES) {
      // A character that is cut in two can only be in the head, which has its line to itself.
      const text = textAt(fd, offset, READ_BYTES);
      if (text === '') break;
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      yield* lines;
    }
  } finally {
    closeSync(fd);
  }
}

function stateOf(head: CaptureHead, end: CaptureEnd | undefined): StoredCapture['state'] {
  if (end === undefined) return isRunning(head.process) ? 'open' : 'incomplete';
  return end.incomplete === undefined ? 'complete' : 'incomplete';
}

/** Bytes up to the end of the last whole line; what a machine that lost power leaves behind it may be long. */
function wholeBytesOf(fd: number, size: number): number {
  const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
  for (let end = size; end > 0; end -= TAIL_BYTES) {
    const start = Math.max(0, end - TAIL_BYTES);
    const read = readSync(fd, bytes, 0, end - start, start);
    const newline = bytes.subarray(0, read).lastIndexOf('\n');
    if (newline >= 0) return start + newline + 1;
  }
  return 0;
}

function textAt(fd: number, offset: number, length: number): string {
  const bytes = Buffer.alloc(length);
  return bytes.toString('utf8', 0, readSync(fd, bytes, 0, length, offset));
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
