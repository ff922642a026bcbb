import type { WorkerRoom } from '../room.js';
import { FileAnswer } from './file-answer.js';
import { type BodyKeeper, FileBody } from './file-body.js';
import { FileCache } from './file-cache.js';

/** Bodies kept while nobody needs them. */
const BODIES_IDLE_MAX = 1024;

/** What all routes of one worker share that serve files. */
export class FilesRoom implements BodyKeeper {
  readonly cache: FileCache;
  /** Filled and written in one go. */
  readonly answer = new FileAnswer();
  private readonly bodies: FileBody[] = [];

  constructor(readonly worker: WorkerRoom) {
    this.cache = new FileCache(worker.kernel, worker.counters, worker.cachedFilesMax);
  }

  takeBody(): FileBody {
    return this.bodies.pop() ?? new FileBody(this);
  }

  keep(body: FileBody): void {
    if (this.bodies.length < BODIES_IDLE_MAX) this.bodies.push(body);
  }

  close(): void {
    this.cache.clear();
  }

  /** Another configuration is in force: nothing of the one before is kept, but for what is being sent. */
  configure(): void {
    this.cache.clear();
    this.cache.most = this.worker.cachedFilesMax;
  }
}
