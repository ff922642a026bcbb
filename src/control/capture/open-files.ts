import { closeSync, constants, openSync } from 'node:fs';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
/** Nobody but the user reads what others have said. */
const MODE = 0o600;

/** A file that is being written; its descriptor comes and goes. */
export interface CaptureFile {
  readonly path: string;
  /** Bytes in it: where the next ones go. */
  bytes: number;
}

/**
 * The descriptors of files that are being written: the least recently used one is closed for the next, so that
 * however many flows are captured, the proxy keeps its descriptors for connections.
 */
export class OpenFiles {
  private readonly open = new Map<CaptureFile, number>();

  constructor(private readonly filesMax = 256) {}

  /** Makes a file that must not be there yet. @throws NodeJS.ErrnoException */
  create(path: string): CaptureFile {
    const file = { path, bytes: 0 };
    this.keep(file, openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, MODE));
    return file;
  }

  /** @throws NodeJS.ErrnoException */
  descriptor(file: CaptureFile): number {
    let fd = this.open.get(file);
    if (fd === undefined) fd = openSync(file.path, O_WRONLY | O_NOFOLLOW);
    else this.open.delete(file);
    this.keep(file, fd);
    return fd;
  }

  close(file: CaptureFile): void {
    const fd = this.open.get(file);
    if (fd === undefined) return;
    this.open.delete(file);
    closeSync(fd);
  }

  closeAll(): void {
    for (const file of [...this.open.keys()]) this.close(file);
  }

  private keep(file: CaptureFile, fd: number): void {
    this.open.set(file, fd);
    if (this.open.size <= this.filesMax) return;
    const [oldest] = this.open.keys();
    this.close(oldest!);
  }
}
