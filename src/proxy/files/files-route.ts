import Negotiator from 'negotiator';
import {
  type DirectoryEntry,
  Errno,
  File,
  type FileStatus,
  fileStatus,
  readDirectory,
} from '../../splice/index.js';
import type { HttpRouteSnapshot } from '../http/index.js';
import { Method } from '../http/message/index.js';
import { FieldLines, hstsLine, type RequestContext } from '../http/rewriting/index.js';
import type { CachedFile } from './cached-file.js';
import { DirectoryListing } from './directory-listing.js';
import type { AnswerFields, FileAnswer } from './file-answer.js';
import { FactSheet } from './file-facts.js';
import { FileFinder } from './file-finder.js';
import { FilePath } from './file-path.js';
import { FileReply } from './file-reply.js';
import type { FilesRoom } from './files-room.js';
import type { FilesSnapshot } from './files-snapshot.js';
import { PathPattern } from './path-pattern.js';
import type { RootDirectory } from './root-directory.js';
import { TextBody } from './text-body.js';

const METHODS = 'GET, HEAD, OPTIONS';
/** A listing shows no more. */
const LISTED_MAX = 10_000;
/** A file that changes this often while it is looked at is not served. */
const CHANGES_MAX = 3;

const HTML = 'text/html';
const JSON_TYPE = 'application/json';

const SLASH = 0x2f;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

/**
 * A route that serves files.
 *
 * ```
 *   path ──▶ below the root ──▶ each of try_files ──▶ a file ──▶ version ──▶ preconditions ──▶ ranges ──▶ answer
 *             │ no name           │ none                  ▲
 *             ▼                   ▼                       │
 *            404 ◀──────────── not_found ─────────────────┘
 * ```
 */
export class FilesRoute {
  private readonly root: RootDirectory;
  private readonly paths: FilePath;
  private readonly finder: FileFinder;
  private readonly reply: FileReply;
  private readonly own: AnswerFields;
  private readonly facts: FactSheet;
  /** What a request names is looked for first, under that name. */
  private readonly isDirect: boolean;
  /** Lines that belong to the last answer that was a status. */
  refusalFields = '';

  /** @param hsts value of Strict-Transport-Security, for requests by HTTPS */
  constructor(
    private readonly room: FilesRoom,
    private readonly files: FilesSnapshot,
    { prefix, responseHeaders }: Pick<HttpRouteSnapshot, 'prefix' | 'responseHeaders'>,
    hsts: string | null,
  ) {
    const { set, add } = responseHeaders;
    const patterns = files.cacheControl.map(({ paths }) =>
      paths.map((one) => new PathPattern(one)),
    );
    this.isDirect = prefix === null && candidateOf(files.tryFiles[0]!, '/') === '/';
    this.root = room.cache.rootOf(files.root);
    this.paths = new FilePath(prefix, files.dotfiles);
    this.own = ownFields(new FieldLines([...set, ...add]), hstsLine(hsts));
    this.facts = new FactSheet(files, patterns, responseHeaders);
    const { precompressed, revalidateMs } = files;
    this.finder = new FileFinder(room, this.root, this.facts, precompressed, revalidateMs);
    this.reply = new FileReply(room, this.facts, this.own, precompressed);
  }

  /**
   * Answers a request, while its head is there.
   *
   * @param isSecure what is sent passes OpenSSL
   * @returns an answer, to be written before the next one is asked for, or the status of an error
   */
  answer(context: RequestContext, isSecure: boolean): FileAnswer | number {
    const { method } = context.head;
    this.refusalFields = '';
    if (method === Method.OPTIONS) return this.allow();
    if (method !== Method.GET && method !== Method.HEAD) {
      this.refusalFields = `Allow: ${METHODS}\r\n`;
      return 405;
    }
    const { revalidateMs, tryFiles, dotfiles } = this.files;
    this.root.refresh(this.room.worker.clock.nowMs, revalidateMs);
    const known = this.finder.recall(context.path.string);
    if (known !== undefined) {
      const answer = this.send(known, context, isSecure);
      if (typeof answer !== 'number' || answer > 0) return answer;
    }
    const path = this.paths.of(context.path);
    if (path === undefined) return this.notFound(404, context, isSecure);
    let status = 404;
    let last = '';
    const isSlashed = path.endsWith('/');
    for (const parts of tryFiles) {
      // `$path.html` is meant for names; behind a slash it would be one that begins with a dot.
      if (isSlashed && !dotfiles && parts.some(beginsName)) continue;
      const candidate = candidateOf(parts, path);
      if (candidate === last) continue;
      last = candidate;
      const found = candidate.endsWith('/')
        ? this.directory(candidate, path, context, isSecure)
        : this.file(candidate, context, isSecure);
      if (typeof found !== 'number') return found;
      if (found > 0) return found;
      status = statusOf(-found, status);
      // The next one is for what is not there: the page of an application in the place of a script would hide the mistake.
      if (found === -Errno.EACCES && this.isThere(candidate)) break;
    }
    return this.notFound(status, context, isSecure);
  }

  /** @returns an answer, the status of a refusal, or a negative error number: there is no such file */
  private file(path: string, context: RequestContext, isSecure: boolean): FileAnswer | number {
    const found = this.finder.find(path);
    if (typeof found === 'number') return found;
    if (this.isDirect && path === context.path.string) found.isNamed = true;
    return this.send(found, context, isSecure);
  }

  /** @param status of the error that the file tells of; 0 for none */
  private send(
    found: CachedFile,
    { head }: RequestContext,
    isSecure: boolean,
    status = 0,
  ): FileAnswer | number {
    const { finder, reply } = this;
    const { kernel, clock } = this.room.worker;
    let file = found;
    for (let changes = 0; ; changes++) {
      const version = reply.select(file, head);
      if (version.isUnchanged(kernel, clock.nowMs)) {
        const answer =
          status === 0
            ? reply.with(version, head, isSecure, clock.wallMs)
            : reply.whole(status, version, head, isSecure);
        finder.settle(file);
        this.refusalFields = reply.refusalFields;
        return answer;
      }
      if (changes === CHANGES_MAX) break;
      const again = finder.findAgain(file);
      if (typeof again === 'number') return again;
      file = again;
    }
    finder.settle(file);
    return 503;
  }

  /**
   * @param path ends in a slash
   * @param asked the path that was asked for
   */
  private directory(
    path: string,
    asked: string,
    context: RequestContext,
    isSecure: boolean,
  ): FileAnswer | number {
    const { bytes, end } = context.path;
    // Links in its index would lead elsewhere if the client took it for a file.
    if (bytes[end - 1] !== SLASH && path === slashed(asked)) return this.redirect(path, context);
    let error = -Errno.ENOENT;
    for (const name of this.files.index) {
      const found = this.file(path + name, context, isSecure);
      if (typeof found !== 'number' || found > 0) return found;
      if (found === -Errno.EACCES) error = found;
    }
    // An index that may not be read was not put there for a listing to take its place.
    const isUnindexed = error === -Errno.ENOENT;
    return this.files.listing && isUnindexed ? this.list(path, context, isSecure) : error;
  }

  private redirect(path: string, { head, path: asked }: RequestContext): FileAnswer | number {
    const fd = this.root.open(path, File.O_PATH | File.O_DIRECTORY);
    if (fd < 0) return fd;
    this.room.worker.kernel.close(fd);
    const query = head.query === '' ? '' : `?${head.query}`;
    const lines = `Location: ${asked.string}/${query}\r\nContent-Length: 0\r\n`;
    return this.room.answer.begin(301, Buffer.from(lines, 'latin1'), this.own, undefined);
  }

  private list(path: string, context: RequestContext, isSecure: boolean): FileAnswer | number {
    const { kernel } = this.room.worker;
    const fd = this.root.open(path, File.O_RDONLY | File.O_DIRECTORY);
    if (fd < 0) return fd;
    const entries = readDirectory(kernel, fd, LISTED_MAX + 1);
    kernel.close(fd);
    if (typeof entries === 'number') return entries;
    const listing = new DirectoryListing(
      path,
      entries.slice(0, LISTED_MAX).flatMap((entry) => this.listed(path, entry)),
      entries.length > LISTED_MAX,
    );
    const { accept = '*/*' } = context.head;
    const types = [HTML, JSON_TYPE];
    const isJson = new Negotiator({ headers: { accept } }).mediaType(types) === JSON_TYPE;
    const text = isJson ? listing.json() : listing.html();
    const lines = Buffer.concat([
      Buffer.from(`Content-Length: ${text.length}\r\n`, 'latin1'),
      this.facts.lines([
        ['Content-Type', isJson ? JSON_TYPE : `${HTML}; charset=utf-8`],
        ['Cache-Control', 'no-cache'],
        ['Vary', 'Accept'],
      ]),
    ]);
    const body =
      context.head.method === Method.HEAD
        ? undefined
        : new TextBody(text, this.room.worker.counters, isSecure);
    return this.room.answer.begin(200, lines, this.own, body);
  }

  /** What is shown of an entry: a link as what it leads to, if that could be asked for. */
  private listed(path: string, entry: DirectoryEntry): DirectoryEntry[] {
    const { name, isDirectory, isRegular, isLink } = entry;
    if (name[0] === DOT && !this.files.dotfiles) return [];
    // No path of a request leads to it: see `FilePath`.
    if (name.includes(BACKSLASH)) return [];
    if (isDirectory || isRegular) return [entry];
    if (!isLink) return [];
    const status = this.statusAt(path + name.toString('latin1'));
    if (status === undefined || !(status.isRegular || status.isDirectory)) return [];
    return [{ ...entry, ...status }];
  }

  /** Whether a candidate that may not be read is what it was meant to be: a file, or with a slash a directory. */
  private isThere(candidate: string): boolean {
    const status = this.statusAt(candidate);
    return (
      status !== undefined && (candidate.endsWith('/') ? status.isDirectory : status.isRegular)
    );
  }

  /** What is there, whether it may be read or not; undefined where that cannot be seen either. */
  private statusAt(path: string): FileStatus | undefined {
    const { kernel } = this.room.worker;
    const fd = this.root.open(path, File.O_PATH);
    if (fd < 0) return undefined;
    const status = fileStatus(kernel, fd);
    kernel.close(fd);
    return typeof status === 'number' ? undefined : status;
  }

  private allow(): FileAnswer {
    const lines = Buffer.from(`Allow: ${METHODS}\r\n`, 'latin1');
    return this.room.answer.begin(204, lines, this.own, undefined);
  }

  private notFound(
    status: number,
    context: RequestContext,
    isSecure: boolean,
  ): FileAnswer | number {
    const { notFound } = this.files;
    if (notFound === null || status !== 404) return status;
    const page = this.finder.find(notFound);
    if (typeof page === 'number') return status;
    const answer = this.send(page, context, isSecure, status);
    return typeof answer === 'number' ? status : answer;
  }
}

function ownFields(fields: FieldLines, hsts: Buffer): AnswerFields {
  const { constant } = fields;
  return { fields, hsts, bytes: constant && constant.length + hsts.length };
}

/** Whether the part makes a name that begins with a dot of a path that ends in a slash. */
function beginsName(part: string, index: number): boolean {
  return index > 0 && part.charCodeAt(0) === DOT;
}

/** The path stands between the parts. */
function candidateOf(parts: readonly string[], path: string): string {
  if (parts.length === 2 && parts[0] === '' && parts[1] === '') return path;
  return parts.join(path).replaceAll('//', '/');
}

function slashed(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}

/** @param errno why there is no such file @param otherwise what the answer was to be so far */
function statusOf(errno: number, otherwise: number): number {
  switch (errno) {
    case Errno.EACCES:
    case Errno.EPERM:
      return 403;
    case Errno.EMFILE:
    case Errno.ENFILE:
    case Errno.ENOMEM:
    case Errno.EAGAIN:
      return 503;
    case Errno.ENOSYS:
    case Errno.EIO:
      return 500;
    default:
      return otherwise;
  }
}
