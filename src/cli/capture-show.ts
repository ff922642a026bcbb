import { closeSync, openSync, readSync } from 'node:fs';
import { type CaptureChunk, capturePath, chunksOf, type StoredCapture } from '../control/index.js';
import { stateText } from './capture-list.js';
import { captureDirectories, findCapture, placeOptions } from './capture-place.js';
import { parseOptions, UsageError } from './options.js';
import { printable } from './printable.js';

const ROW_BYTES = 16;
const arrows = { client: '>', upstream: '<' } as const;

export async function captureShow(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    ...placeOptions,
    chunks: { type: 'string', default: '20' },
    bytes: { type: 'string', default: '256' },
    text: { type: 'boolean', default: false },
  });
  const [id, ...others] = positionals;
  if (others.length > 0) throw new UsageError(`unexpected "${others[0]}"`);
  const [chunksMax, bytesMax] = [count('chunks', values.chunks), count('bytes', values.bytes)];
  const capture = findCapture(id, captureDirectories(values));
  process.stdout.write(describe(capture));
  const offsets = { client: 0, upstream: 0 };
  let shown = 0;
  for (const chunk of chunksOf(capture)) {
    if (shown++ === chunksMax) {
      process.stdout.write(`\n… more chunks; --chunks N shows them\n`);
      break;
    }
    const bytes = readChunk(capture, chunk, offsets[chunk.direction], bytesMax);
    offsets[chunk.direction] += chunk.bytes;
    process.stdout.write(`\n${title(chunk)}\n${values.text ? asText(bytes) : hexDump(bytes)}`);
    if (bytes.length < chunk.bytes) process.stdout.write(`… ${chunk.bytes - bytes.length} more\n`);
  }
  return 0;
}

function describe(capture: StoredCapture): string {
  const { head, end, clientBytes, upstreamBytes } = capture;
  const { format: _, process: __, ...known } = head;
  const rows = {
    ...known,
    state: stateText(capture),
    ...end,
    captured: `${clientBytes} bytes of the client, ${upstreamBytes} of the upstream`,
  };
  return Object.entries(rows)
    .map(([name, value]) => `${printable(name).padEnd(15)}${printable(String(value))}\n`)
    .join('');
}

function title({ direction, timeUs, bytes }: CaptureChunk): string {
  return `${arrows[direction]} ${direction}  +${(timeUs / 1e6).toFixed(6)}s  ${bytes} bytes`;
}

function readChunk(
  { directory, head }: StoredCapture,
  { direction, bytes }: CaptureChunk,
  offset: number,
  most: number,
): Buffer {
  const fd = openSync(capturePath(directory, head.id, direction), 'r');
  try {
    const buffer = Buffer.alloc(Math.min(bytes, most));
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, offset));
  } finally {
    closeSync(fd);
  }
}

/** Sixteen bytes a line: where, in hexadecimal, and those that can be printed. */
function hexDump(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += ROW_BYTES) {
    const row = bytes.subarray(at, at + ROW_BYTES);
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const shown = row.toString('latin1').replace(/[^ -~]/g, '.');
    text += `  ${at.toString(16).padStart(6, '0')}  ${hex.padEnd(ROW_BYTES * 3 - 1)}  ${shown}\n`;
  }
  return text;
}

/** What a terminal would take as a command is shown as a dot: these bytes are somebody else's. */
function asText(bytes: Buffer): string {
  const lines = bytes
    .toString('utf8')
    .replace(/\r\n/g, '\n')
    .replace(/[^\n\t]+/g, printable);
  return `${lines.replace(/^/gm, '  ').trimEnd()}\n`;
}

/** @throws UsageError */
function count(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`--${name} "${text}" is not a whole number`);
}
