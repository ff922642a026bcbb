import { mkdirSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';
import { capturePath, isRunning, parseFileName, processName } from './capture-files.js';
import { endLine } from './capture-record.js';
import type { DiskWriter } from './disk-writer.js';
import { readCapture } from './stored-capture.js';

/** What a directory of captures may hold; null is no limit. */
export interface StoreLimits {
  /** Bytes on the disk, those of records included. */
  readonly maxTotalBytes: number;
  /** Since a flow ended. */
  readonly maxAgeMs: number | null;
  readonly maxFlows: number | null;
}

/** A directory that is captured to. */
export interface StoreSettings {
  /** Its number, by which workers know it. */
  readonly store: number;
  readonly directory: string;
  readonly limits: StoreLimits;
}

/** A flow of the directory: what it takes up, and whether it may be deleted. */
interface Kept {
  bytes: number;
  /** Since 1970; nothing while it is being captured. */
  endedMs: number | undefined;
}

/** File systems give out blocks; the sum is to be what du(1) says. */
const BLOCK_BYTES = 4096;
/** Three files, one of them with a head. */
const FLOW_BYTES_MIN = 3 * BLOCK_BYTES;

/**
 * One directory of captures: how much is in it, and what has to go so that it never exceeds its limits. The oldest
 * flows that have ended are deleted, whole.
 */
export class CaptureStore {
  totalBytes = 0;
  /** Flows that were deleted to keep the limits. */
  deleted = 0;
  /** Flows of this process that were given an end, because an earlier capture thread never did. */
  interrupted = 0;
  private readonly flows = new Map<string, Kept>();
  /** The directory is there, and known. */
  isOpen = false;

  constructor(
    readonly directory: string,
    public limits: StoreLimits,
    private readonly writer: DiskWriter,
  ) {}

  get size(): number {
    return this.flows.size;
  }

  /**
   * Makes the directory and looks at what is in it. Flows that nobody captures any more are given an end.
   *
   * @param mine whether this process captures the flow now
   * @throws NodeJS.ErrnoException
   */
  open(mine: (id: string) => boolean): void {
    if (this.isOpen) return;
    makeDirectory(this.directory);
    this.scan(mine);
    this.isOpen = true;
  }

  /** Looks again: others may write to the directory, or have deleted something. */
  scan(mine: (id: string) => boolean): void {
    const own = processName();
    const found = new Map<string, Kept & { startedMs: number }>();
    const orphans: string[] = [];
    const names = readdirSync(this.directory);
    const records = new Set(names.filter((name) => parseFileName(name)?.kind === 'record'));
    for (const name of names) {
      const parsed = parseFileName(name);
      if (parsed === undefined) continue;
      const { id, kind } = parsed;
      if (!records.has(capturePath('', id, 'record'))) {
        orphans.push(id);
        continue;
      }
      const stat = statSync(capturePath(this.directory, id, kind), { throwIfNoEntry: false });
      if (!stat?.isFile()) continue;
      const flow = found.get(id) ?? { bytes: 0, endedMs: undefined, startedMs: stat.birthtimeMs };
      flow.bytes += onDisk(stat.size);
      if (kind === 'record' && !mine(id)) {
        flow.endedMs = this.flows.get(id)?.endedMs ?? this.endOf(id, own, stat.mtimeMs);
      }
      found.set(id, flow);
    }
    // A record comes and goes first, so what is left without one was being deleted; or it began while the names were
    // read, by another process, and the record was written where they had been read already.
    for (const id of orphans) if (!this.hasRecord(id)) this.unlink(id);
    const inOrder = [...found].sort(([, one], [, other]) => one.startedMs - other.startedMs);
    const known = new Map(this.flows);
    this.flows.clear();
    this.totalBytes = 0;
    for (const [id, { bytes, endedMs }] of inOrder) {
      // What grows here was counted block by block, those not written yet included. What grows by another name of
      // this directory was not.
      this.keep(id, (mine(id) ? known.get(id) : undefined) ?? { bytes, endedMs });
    }
    // Unlinked by somebody, and still written to: it takes up room for as long as it is open.
    for (const [id, kept] of known) if (mine(id) && !found.has(id)) this.keep(id, kept);
  }

  private keep(id: string, kept: Kept): void {
    this.flows.set(id, kept);
    this.totalBytes += kept.bytes;
  }

  /** A flow begins. @returns false when there is no room for its files */
  begin(id: string): boolean {
    const { maxFlows } = this.limits;
    while (maxFlows !== null && this.flows.size >= maxFlows) if (!this.deleteOldest()) return false;
    if (!this.makeRoom(FLOW_BYTES_MIN)) return false;
    this.flows.set(id, { bytes: FLOW_BYTES_MIN, endedMs: undefined });
    this.totalBytes += FLOW_BYTES_MIN;
    return true;
  }

  /**
   * A file of a flow is about to grow.
   *
   * @param fileBytes what it has
   * @returns false when there is no room for that
   */
  grow(id: string, fileBytes: number, bytes: number): boolean {
    // The first block of each file was taken when the flow began.
    const more =
      Math.max(onDisk(fileBytes + bytes), BLOCK_BYTES) - Math.max(onDisk(fileBytes), BLOCK_BYTES);
    if (more === 0) return true;
    if (!this.makeRoom(more)) return false;
    this.flows.get(id)!.bytes += more;
    this.totalBytes += more;
    return true;
  }

  /** A flow's capture has ended: it may be deleted. */
  end(id: string): void {
    const flow = this.flows.get(id);
    if (flow !== undefined) flow.endedMs = Date.now();
  }

  /** A flow whose record could not be written: no file of it stays. */
  withdraw(id: string): void {
    this.unlink(id);
    this.forget(id);
  }

  /** A flow that could not be begun. */
  forget(id: string): void {
    const flow = this.flows.get(id);
    if (flow === undefined) return;
    this.flows.delete(id);
    this.totalBytes -= flow.bytes;
  }

  /** Deletes what is too old, and what is too much since the limits changed. */
  tidy(): void {
    const { maxAgeMs, maxFlows } = this.limits;
    const oldestMs = maxAgeMs === null ? 0 : Date.now() - maxAgeMs;
    for (const [id, { endedMs }] of this.flows) {
      if (endedMs !== undefined && endedMs < oldestMs) this.delete(id);
    }
    this.makeRoom(0);
    while (maxFlows !== null && this.flows.size > maxFlows) if (!this.deleteOldest()) return;
  }

  private makeRoom(bytes: number): boolean {
    while (this.totalBytes + bytes > this.limits.maxTotalBytes) {
      if (!this.deleteOldest()) return false;
    }
    return true;
  }

  private deleteOldest(): boolean {
    for (const [id, { endedMs }] of this.flows) {
      if (endedMs === undefined) continue;
      this.delete(id);
      return true;
    }
    return false;
  }

  private delete(id: string): void {
    this.unlink(id);
    this.forget(id);
    this.deleted++;
  }

  private hasRecord(id: string): boolean {
    const path = capturePath(this.directory, id, 'record');
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  }

  private unlink(id: string): void {
    for (const kind of ['record', 'client', 'upstream'] as const) {
      rmSync(capturePath(this.directory, id, kind), { force: true });
    }
  }

  /** When a flow ended that is not ours, or nothing while somebody captures it. */
  private endOf(id: string, own: string | undefined, mtimeMs: number): number | undefined {
    const path = capturePath(this.directory, id, 'record');
    const capture = readCapture(this.directory, id);
    if (capture === undefined || capture.end !== undefined) return mtimeMs;
    const { process } = capture.head;
    if (process === own) this.interrupted++;
    else if (isRunning(process)) return undefined;
    truncateSync(path, capture.wholeBytes);
    const record = { path, bytes: capture.wholeBytes };
    this.writer.appendText(
      record,
      endLine({
        end: new Date(mtimeMs).toISOString(),
        duration_us: capture.lastUs,
        client_bytes: capture.clientBytes,
        upstream_bytes: capture.upstreamBytes,
        incomplete: 'interrupted',
      }),
    );
    this.writer.files.close(record);
    return mtimeMs;
  }
}

/**
 * Makes a directory and those above it. mkdirSync with `recursive` tries for ever where the kernel says that what is above
 * is not there, and it is: in /proc, or where something is mounted when it is asked for.
 *
 * @throws NodeJS.ErrnoException
 */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (isDirectory(path)) return;
    const above = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || isDirectory(above)) throw error;
    makeDirectory(above);
    mkdirSync(path, { mode: 0o700 });
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function onDisk(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}
