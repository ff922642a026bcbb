import {
  createKernel,
  type Kernel,
  type Libc,
  loadLibc,
  NativeMemory,
  Outcome,
  type Pipe,
  spliceToFile,
} from '../../splice/index.js';
import { type CaptureFile, OpenFiles } from './open-files.js';
import { WriteBlocks } from './write-blocks.js';

const BUFFER_BYTES = 64 * 1024;
/** asm-generic/errno.h: a quota is a full disk to whoever has it. */
const ENOSPC = 28;
const EFBIG = 27;
const EDQUOT = 122;

/** Why a write failed, in the words of the records. */
export type DiskFault = 'disk_full' | 'disk_error';

/** Appends to files, from memory and from pipes. It waits for the disk: the capture thread has nothing else to do. */
export class DiskWriter {
  readonly kernel: Kernel;
  readonly files = new OpenFiles();
  readonly blocks = new WriteBlocks();
  /** Bytes written so far. */
  written = 0;
  private readonly buffer = new NativeMemory(BUFFER_BYTES);
  private readonly nowhere: CaptureFile = { path: '/dev/null', bytes: 0 };
  private lastErrno = 0;

  /** @param library a test's own injects faults */
  constructor(library: Libc = loadLibc()) {
    this.kernel = createKernel(library, (_, errno) => {
      this.lastErrno = errno;
    });
  }

  /** @returns nothing when it is written, all of it */
  appendText(file: CaptureFile, text: string): DiskFault | undefined {
    // A character has three bytes at most (as UTF-16 counts them).
    const most = Math.floor(BUFFER_BYTES / 3);
    for (let start = 0; start < text.length; start += most) {
      const length = this.buffer.bytes.write(text.slice(start, start + most));
      const fault = this.append(file, this.buffer.address, length);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  append(file: CaptureFile, address: number, length: number): DiskFault | undefined {
    return this.guarded(() => {
      const fd = this.files.descriptor(file);
      for (let done = 0; done < length; ) {
        const result = this.kernel.pwrite(fd, address + done, length - done, file.bytes);
        if (result < 0) return faultOf(-result);
        this.advance(file, result);
        done += result;
      }
      return undefined;
    });
  }

  /**
   * Moves the first bytes of a pipe to the end of a file. What could not be written is left in the pipe, whose
   * number of bytes says how much that is.
   */
  appendPipe(file: CaptureFile, pipe: Pipe, length: number): DiskFault | undefined {
    return this.guarded(() => {
      const fd = this.files.descriptor(file);
      for (let left = length; left > 0; ) {
        const moved = spliceToFile(this.kernel, pipe, fd, file.bytes, left);
        if (moved > 0) {
          this.advance(file, moved);
          left -= moved;
        } else if (moved === Outcome.NotSpliceable) {
          return this.copyOut(file, pipe, left);
        } else {
          return moved === Outcome.Blocked ? 'disk_error' : faultOf(this.lastErrno);
        }
      }
      return undefined;
    });
  }

  /** Takes bytes out of a pipe that nobody wants. @returns false when they are not there */
  discard(pipe: Pipe, length: number): boolean {
    const { kernel, buffer } = this;
    const end = pipe.bytes - length;
    this.guarded(() => {
      const fd = this.files.descriptor(this.nowhere);
      while (pipe.bytes > end && spliceToFile(kernel, pipe, fd, 0, pipe.bytes - end) > 0);
      return undefined;
    });
    while (pipe.bytes > end) {
      const most = Math.min(pipe.bytes - end, BUFFER_BYTES);
      const read = kernel.read(pipe.readEnd, buffer.address, most);
      if (read <= 0) return false;
      pipe.bytes -= read;
    }
    return true;
  }

  /** File systems without splice_write get the bytes through memory. */
  private copyOut(file: CaptureFile, pipe: Pipe, length: number): DiskFault | undefined {
    const { kernel, buffer } = this;
    for (let left = length; left > 0; ) {
      const read = kernel.read(pipe.readEnd, buffer.address, Math.min(left, BUFFER_BYTES));
      if (read <= 0) return 'disk_error';
      pipe.bytes -= read;
      left -= read;
      const fault = this.append(file, buffer.address, read);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  private advance(file: CaptureFile, bytes: number): void {
    file.bytes += bytes;
    this.written += bytes;
  }

  /** A file that was closed to make room for others may not be had again. */
  private guarded(write: () => DiskFault | undefined): DiskFault | undefined {
    try {
      return write();
    } catch (error) {
      if (!(error instanceof Error) || !('errno' in error)) throw error;
      return faultOf(-Number(error.errno));
    }
  }
}

export function faultOf(errno: number): DiskFault {
  return errno === ENOSPC || errno === EDQUOT || errno === EFBIG ? 'disk_full' : 'disk_error';
}
