import type { NativeMemory } from '../../splice/index.js';
import type { ReadyAnswer } from '../http/exchange/index.js';
import type { HeadWriter } from '../http/message/index.js';
import type { ConnectionLine, RequestContext } from '../http/rewriting/index.js';
import type { FileAnswer } from './file-answer.js';
import type { OpenFile } from './open-file.js';
import type { Kept } from './second-chance.js';

const SECOND_MS = 1000;

/**
 * The head of the answer with a whole file, and of a small file the content right behind it, so that both are sent in one
 * piece as they are. The head is written anew when the second is over, or when a client is to be told something
 * else than the one before.
 *
 * ```
 *   block: │ free │ head │ content │
 *                  ▲ start          ▲ end of the block
 * ```
 */
export class PreparedFile implements ReadyAnswer, Kept {
  wasUsed = false;
  slot = -1;
  status = 200;
  start = 0;
  headBytes = 0;
  /** Until then the content need not be read anew, monotonic. */
  trustedUntilMs = Number.NEGATIVE_INFINITY;
  /** What the head was written for. */
  private second = Number.NaN;
  private connection: ConnectionLine = 0;
  private isSecure = false;
  private answer!: FileAnswer;

  /**
   * @param memory a block
   * @param bodyBytes of the content; 0 for the head of a file whose content is not here
   * @param scratch where a head is written before its length is known
   */
  constructor(
    readonly file: OpenFile,
    readonly memory: NativeMemory,
    readonly bodyBytes: number,
    private readonly writer: HeadWriter,
    private readonly scratch: Buffer,
  ) {}

  /** The content is here. */
  get isWhole(): boolean {
    return this.bodyBytes === this.file.facts.size;
  }

  /** Where the content is. */
  get contentStart(): number {
    return this.memory.byteLength - this.bodyBytes;
  }

  /** Its content must be read anew before it is sent. */
  expire(): void {
    this.trustedUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** For an answer that {@link prepare} is told of next. */
  begin(answer: FileAnswer): this {
    this.answer = answer;
    return this;
  }

  prepare(context: RequestContext, connection: ConnectionLine, nowMs: number): void {
    const { answer } = this;
    const second = Math.floor(nowMs / SECOND_MS);
    const isSecure = context.client.scheme === 'https';
    const isKept =
      second === this.second &&
      connection === this.connection &&
      isSecure === this.isSecure &&
      answer.status === this.status;
    if (isKept) return;
    this.second = second;
    this.connection = connection;
    this.isSecure = isSecure;
    this.status = answer.status;
    const { scratch, writer, memory, contentStart } = this;
    answer.writeHead(context, connection, nowMs, writer.begin(scratch));
    this.headBytes = writer.length;
    this.start = contentStart - writer.length;
    scratch.copy(memory.bytes, this.start, 0, writer.length);
  }
}
