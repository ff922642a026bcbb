import { randomBytes } from 'node:crypto';
import { type Parsed, parseTicketKeys, TICKET_KEY_BYTES } from '../../config/index.js';
import { WatchedFile } from './watched-file.js';

/** Keys that a listener encrypts session tickets with. */
export interface TicketKeys {
  /** The first encrypts, all decrypt. */
  readonly keys: readonly Uint8Array[];
  /** Whether they are others now, or why they stay as they were. */
  refresh(nowMs: number): Parsed<boolean>;
}

/** A ticket can be used for two to three times the interval at which keys change. */
const KEYS_KEPT = 3;

/** Keys of this process alone, the oldest of which is forgotten whenever there is a new one. */
export class RandomTicketKeys implements TicketKeys {
  keys: readonly Uint8Array[] = [newKey()];
  private rotatedMs: number;

  /** @param rotateMs how long the first key encrypts */
  constructor(
    readonly rotateMs: number,
    nowMs: number,
  ) {
    this.rotatedMs = nowMs;
  }

  refresh(nowMs: number): Parsed<boolean> {
    const isDue = nowMs - this.rotatedMs >= this.rotateMs;
    if (isDue) {
      this.keys = [newKey(), ...this.keys].slice(0, KEYS_KEPT);
      this.rotatedMs = nowMs;
    }
    return { ok: true, value: isDue };
  }
}

/** Keys from a file, which is the same for a whole fleet. */
export class FileTicketKeys implements TicketKeys {
  private readonly file: WatchedFile<Uint8Array[]>;

  /** @throws Error with one line when the file is not good */
  constructor(path: string) {
    this.file = new WatchedFile(path, parseTicketKeys);
  }

  get keys(): readonly Uint8Array[] {
    return this.file.current;
  }

  refresh(): Parsed<boolean> {
    return this.file.refresh();
  }
}

/** A plain array of its own: a Buffer of Node's pool would take its neighbours along to the workers. */
function newKey(): Uint8Array {
  return Uint8Array.from(randomBytes(TICKET_KEY_BYTES));
}
