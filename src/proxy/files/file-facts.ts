import type { FileStatus } from '../../splice/index.js';
import type { HeaderEditsSnapshot } from '../http/index.js';
import { ContentTypes } from './content-types.js';
import { type Encoding, suffixes } from './encodings.js';
import type { FilesSnapshot } from './files-snapshot.js';
import { datable } from './http-time.js';
import type { FileFacts } from './open-file.js';
import { type PathPattern, spellPath } from './path-pattern.js';

/**
 * A file that was written less than this before it was looked at may be written once more without its time changing:
 * clocks of filesystems tick every few milliseconds, some every second or two (FAT).
 */
const YOUNG_MS = 2000;
const SECOND_MS = 1000;
const NANOSECONDS = 1_000_000_000n;

/** What a route says of files, compiled: from what the kernel knows of one to the lines of its heads. */
export class FactSheet {
  private readonly types: ContentTypes;
  private readonly isDropped: (name: string) => boolean;

  /** @param patterns of each entry of `cacheControl` */
  constructor(
    private readonly files: FilesSnapshot,
    private readonly patterns: readonly (readonly PathPattern[])[],
    { set, remove }: HeaderEditsSnapshot,
  ) {
    this.types = new ContentTypes(files.contentTypes);
    const names = new Set([...set.map(({ name }) => name.toLowerCase()), ...remove]);
    const prefixes = remove.filter((one) => one.endsWith('*')).map((one) => one.slice(0, -1));
    this.isDropped = (name) => names.has(name) || prefixes.some((one) => name.startsWith(one));
  }

  /**
   * @param path below the root, a character per byte; of an encoded file that of the one it stands for
   * @param encoding of the file, where it stands for another
   * @param varies there are encoded files beside it, or it is one
   * @param nowMs wall-clock time, ms since 1970
   */
  of(
    path: string,
    status: FileStatus,
    encoding: Encoding | undefined,
    varies: boolean,
    nowMs: number,
  ): FileFacts {
    const { size, modifiedSec: writtenSec } = status;
    // RFC 9110 §8.8.2.1: not later than the answer's Date.
    const modifiedSec = Math.min(datable(writtenSec), Math.floor(nowMs / SECOND_MS));
    const modified = new Date(modifiedSec * SECOND_MS).toUTCString();
    const isYoung = nowMs - writtenSec * SECOND_MS < YOUNG_MS;
    const tag = this.tagOf(status, encoding, isYoung);
    const contentType = this.types.of(path);
    const encodingLines = this.lines([['Content-Encoding', encoding]]);
    const validatorLines = this.lines([
      ['Last-Modified', modified],
      ['ETag', tag],
      ['Vary', varies ? 'Accept-Encoding' : undefined],
      ['Cache-Control', this.cacheControlOf(path)],
    ]);
    const wholeLines = Buffer.concat([
      Buffer.from(`Content-Length: ${size}\r\n`, 'latin1'),
      this.lines([
        ['Content-Type', contentType],
        ['Accept-Ranges', 'bytes'],
      ]),
      encodingLines,
      validatorLines,
    ]);
    return {
      size,
      modifiedSec,
      modified,
      tag,
      contentType,
      wholeLines,
      encodingLines,
      validatorLines,
      isYoung,
    };
  }

  /** Lines of a head, without those that the route takes out, and those that have no value. */
  lines(fields: readonly (readonly [string, string | undefined])[]): Buffer {
    const kept = fields.filter(
      ([name, value]) => value !== undefined && value !== '' && !this.isDropped(name.toLowerCase()),
    );
    return Buffer.from(kept.map(([name, value]) => `${name}: ${value}\r\n`).join(''), 'latin1');
  }

  /** From the time it was written, to the nanosecond, and its length: the same on every machine it was copied to. */
  private tagOf(
    { size, modifiedSec, modifiedNsec }: FileStatus,
    encoding: Encoding | undefined,
    isYoung: boolean,
  ): string {
    const { etag } = this.files;
    if (etag === 'off') return '';
    const time = BigInt(modifiedSec) * NANOSECONDS + BigInt(modifiedNsec);
    const suffix = encoding === undefined ? '' : suffixes[encoding].replace('.', '-');
    const opaque = `"${time.toString(16)}-${size.toString(16)}${suffix}"`;
    return etag === 'weak' || isYoung ? `W/${opaque}` : opaque;
  }

  private cacheControlOf(path: string): string | undefined {
    const spelling = spellPath(path);
    const index = this.patterns.findIndex((some) => some.some((one) => one.fits(spelling)));
    return this.files.cacheControl[index]?.value;
  }
}
