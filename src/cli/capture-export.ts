import { closeSync, lstatSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isatty } from 'node:tty';
import { exportRaw, pcapngBytes, rawBytes, type StoredCapture } from '../control/index.js';
import { errnoName } from '../splice/index.js';
import { stateText } from './capture-list.js';
import { captureDirectories, findCapture, placeOptions } from './capture-place.js';
import { parseOptions, UsageError } from './options.js';

/** Nobody but the user reads what others have said. */
const MODE = 0o600;
const STDOUT = 1;

type Direction = 'client' | 'upstream';

export async function captureExport(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    ...placeOptions,
    format: { type: 'string' },
    direction: { type: 'string' },
    output: { type: 'string', short: 'o', default: '-' },
    force: { type: 'boolean', default: false },
  });
  const [id, ...others] = positionals;
  if (others.length > 0) throw new UsageError(`unexpected "${others[0]}"`);
  const { format, output, force } = values;
  if (format !== 'raw' && format !== 'pcapng')
    throw new UsageError('--format must be raw or pcapng');
  const directions = directionsOf(format, values.direction);
  const capture = findCapture(id, captureDirectories(values));
  if (capture.state !== 'complete') {
    process.stderr.write(`headgate capture export: ${capture.head.id} is ${stateText(capture)}\n`);
  }
  if (output === '-') return toStandardOutput(bytesOf(capture, format, directions));
  return toFile(capture, format, directions, output, force);
}

/** @throws UsageError */
function directionsOf(format: 'raw' | 'pcapng', direction: string | undefined): Direction[] {
  if (direction === 'client' || direction === 'upstream') return [direction];
  if (direction !== undefined && direction !== 'both') {
    throw new UsageError(`--direction "${direction}" is neither client, upstream nor both`);
  }
  if (format === 'raw') throw new UsageError('--format raw needs --direction client or upstream');
  return ['client', 'upstream'];
}

function bytesOf(
  capture: StoredCapture,
  format: 'raw' | 'pcapng',
  directions: readonly Direction[],
): Generator<Buffer> {
  if (format === 'pcapng') return pcapngBytes(capture, directions);
  return capture[`${directions[0]!}Bytes`] === 0 ? nothing() : rawBytes(capture, directions[0]!);
}

function* nothing(): Generator<Buffer> {}

async function toStandardOutput(bytes: Generator<Buffer>): Promise<number> {
  if (isatty(STDOUT)) throw new UsageError('standard output is a terminal; use -o FILE');
  try {
    await pipeline(Readable.from(bytes), process.stdout, { end: false });
    return 0;
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    // Who reads has enough.
    if (code === 'EPIPE') return 0;
    // It has been told already (output.ts).
    if (syscall === 'write') return 1;
    process.stderr.write(`headgate capture export: ${(error as Error).message}\n`);
    return 1;
  }
}

function toFile(
  capture: StoredCapture,
  format: 'raw' | 'pcapng',
  directions: readonly Direction[],
  path: string,
  force: boolean,
): number {
  const fd = openOutput(path, force);
  try {
    const [direction] = directions;
    const isEmpty = capture[`${direction!}Bytes`] === 0;
    if (format === 'pcapng') {
      // Nothing else is to be done meanwhile, and a stream that fails closes the descriptor, which is ours.
      for (const bytes of pcapngBytes(capture, directions)) writeFileSync(fd, bytes);
    } else if (!isEmpty) {
      const copied = exportRaw(capture, direction!, fd);
      if (typeof copied === 'number') throw new Error(`${path}: ${errnoName(-copied)}`);
    }
    return 0;
  } catch (error) {
    // A part of it is worse than nothing; a device, or a link to one, is not ours to delete.
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile()) unlinkSync(path);
    process.stderr.write(`headgate capture export: ${(error as Error).message}\n`);
    return 1;
  } finally {
    closeSync(fd);
  }
}

/** @throws UsageError when it is there, or cannot be made */
function openOutput(path: string, force: boolean): number {
  try {
    return openSync(path, force ? 'w' : 'wx', MODE);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(code === 'EEXIST' ? `${path} is there; --force replaces it` : message);
  }
}
