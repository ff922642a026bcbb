import { File, Splice, SyscallNumber } from './constants.js';
import { Errno } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { OpenHow } from './structs.js';

/** PATH_MAX (linux/limits.h), with the NUL at the end. */
const PATH_BYTES_MAX = 4096;

/** fcntl.h: relative to the working directory. */
const AT_FDCWD = -100;

const how = new NativeMemory(OpenHow.size);
const pathBytes = new NativeMemory(PATH_BYTES_MAX);

/**
 * Opens a path below a directory and never outside of it: the kernel resolves every component, so that
 * neither `..`, nor an absolute path or symlink, nor a directory that is renamed meanwhile leads out
 * (openat2(2), RESOLVE_BENEATH), and nothing of /proc is followed (RESOLVE_NO_MAGICLINKS).
 *
 * @param directory a descriptor of the directory; O_PATH will do
 * @param path relative to it, or its bytes where it need not be UTF-8; NUL bytes are refused with EINVAL
 * @param flags O_… of open(2); O_CLOEXEC is added
 * @param mode of a file that O_CREAT makes
 * @returns a descriptor, or a negative error number: EXDEV for a path that leads out, ELOOP, ENOENT, EACCES,
 *   EAGAIN when a rename raced with it (try again), ENOSYS before Linux 5.6
 */
export function openBeneath(
  kernel: Kernel,
  directory: number,
  path: string | Uint8Array,
  flags: number,
  mode = 0,
): number {
  const resolve = File.RESOLVE_BENEATH | File.RESOLVE_NO_MAGICLINKS;
  return openat2(kernel, directory, path, flags, mode, resolve);
}

/**
 * Opens a directory as a starting point for {@link openBeneath}, by any path: it may lead over symlinks, and is
 * relative to the working directory.
 *
 * @returns a descriptor that can be used for nothing else (O_PATH), or a negative error number
 */
export function openDirectory(kernel: Kernel, path: string): number {
  return openat2(kernel, AT_FDCWD, path, File.O_PATH | File.O_DIRECTORY, 0, 0);
}

function openat2(
  kernel: Kernel,
  directory: number,
  path: string | Uint8Array,
  flags: number,
  mode: number,
  resolve: number,
): number {
  const length = putPath(path);
  if (length < 0) return length;
  writeUint64(OpenHow.flags, flags | Splice.O_CLOEXEC);
  writeUint64(OpenHow.mode, mode);
  writeUint64(OpenHow.resolve, resolve);
  return kernel.syscall(
    SyscallNumber.openat2,
    directory,
    pathBytes.address,
    how.address,
    OpenHow.size,
  );
}

/** @returns bytes of the path in {@link pathBytes}, or a negative error number */
function putPath(path: string | Uint8Array): number {
  const bytes = typeof path === 'string' ? Buffer.from(path) : path;
  const { length } = bytes;
  if (length >= PATH_BYTES_MAX) return -Errno.ENAMETOOLONG;
  if (bytes.includes(0)) return -Errno.EINVAL;
  pathBytes.bytes.set(bytes);
  pathBytes.bytes[length] = 0;
  return length;
}

function writeUint64(offset: number, value: number): void {
  how.bytes.writeUInt32LE(value >>> 0, offset);
  how.bytes.writeUInt32LE(0, offset + 4);
}
