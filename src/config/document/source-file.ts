import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';

/** More than a file of the longest text has, however many bytes its characters take. A device has no end. */
export const SOURCE_BYTES_MAX = 4 * 1024 * 1024;
/** How long a pipe may be silent: for the program that makes the configuration, and for one that opens it late. */
const WRITER_WAIT_MS = 10_000;
const NO_WRITER_WAIT_MS = 1_000;
const NAP_MS = 10;

/** The bytes of a file, or why there are none, in words that end a message. */
export type Source = { ok: true; bytes: Buffer } | { ok: false; message: string };

/**
 * Reads a configuration file: a regular one, a pipe (`-c <(make-configuration)`, `/dev/stdin`), or nothing that would
 * keep a proxy waiting for ever. Never throws.
 */
export function readSource(path: string): Source {
  let fd: number;
  try {
    // Opening a FIFO nobody writes to would not return.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return refused(reason(error as NodeJS.ErrnoException));
  }
  try {
    return readAll(fd);
  } catch (error) {
    return refused(reason(error as NodeJS.ErrnoException));
  } finally {
    closeSync(fd);
  }
}

function readAll(fd: number): Source {
  const stat = fstatSync(fd);
  if (stat.isFile() && stat.size > SOURCE_BYTES_MAX) {
    return refused(`the file has ${stat.size} bytes, expected at most ${SOURCE_BYTES_MAX}`);
  }
  const block = Buffer.allocUnsafe(64 * 1024);
  const blocks: Buffer[] = [];
  let total = 0;
  let waitedMs = 0;
  for (;;) {
    const count = readSome(fd, block);
    if (count !== null && count > 0) {
      blocks.push(Buffer.from(block.subarray(0, count)));
      total += count;
      waitedMs = 0;
      if (total > SOURCE_BYTES_MAX) {
        return refused(`no end after ${SOURCE_BYTES_MAX} bytes, expected a configuration`);
      }
      continue;
    }
    // A pipe nobody has opened for writing yet reads like one at its end.
    const isEarly = count === 0 && total === 0 && stat.isFIFO();
    if (count === 0 && !isEarly) return { ok: true, bytes: Buffer.concat(blocks) };
    const limitMs = isEarly ? NO_WRITER_WAIT_MS : WRITER_WAIT_MS;
    if (waitedMs >= limitMs) {
      return refused(
        `nothing came out of the pipe for ${limitMs / 1000} s, expected a configuration`,
      );
    }
    nap();
    waitedMs += NAP_MS;
  }
}

/** @returns how many bytes; 0 at the end, null where there are none yet */
function readSome(fd: number, block: Buffer): number | null {
  try {
    return readSync(fd, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
    throw error;
  }
}

function nap(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, NAP_MS);
}

function refused(message: string): Source {
  return { ok: false, message };
}

function reason({ code, errno, message }: NodeJS.ErrnoException): string {
  if (code === 'EISDIR') return 'this is a directory, expected a file';
  if (code === 'ENOENT') return 'there is no such file, expected a configuration';
  const [, description] = getSystemErrorMap().get(errno ?? 0) ?? [];
  return `the file can't be read: ${description ?? message}`;
}
