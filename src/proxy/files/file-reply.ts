import { HeaderName, Method, type RequestHead } from '../http/message/index.js';
import { type ByteRange, selectRanges } from './byte-ranges.js';
import type { CachedFile } from './cached-file.js';
import { type Encoding, EncodingChoice } from './encodings.js';
import type { AnswerFields, FileAnswer } from './file-answer.js';
import type { FactSheet } from './file-facts.js';
import type { FilesRoom } from './files-room.js';
import { contentRange, Multipart } from './multipart.js';
import type { OpenFile } from './open-file.js';
import { evaluate, rangeApplies, Verdict } from './preconditions.js';

/** Answers with files that were found: which version of one, whether at all, and which parts. */
export class FileReply {
  /** Lines that belong to the last answer that was a status. */
  refusalFields = '';
  private readonly encodings: EncodingChoice;

  constructor(
    private readonly room: FilesRoom,
    private readonly facts: FactSheet,
    private readonly own: AnswerFields,
    private readonly precompressed: readonly Encoding[],
  ) {
    this.encodings = new EncodingChoice(precompressed);
  }

  /** The version of a file that a client gets. */
  select(file: CachedFile, head: RequestHead): OpenFile {
    if (file.available === 0) return file.plain;
    const encoding = this.encodings.choose(
      listOf(head, HeaderName.accept_encoding),
      file.available,
    );
    if (encoding === undefined) return file.plain;
    return file.encoded[this.precompressed.indexOf(encoding)]!;
  }

  /**
   * Answers a GET or HEAD.
   *
   * @param isSecure the bytes pass OpenSSL
   * @param nowMs wall-clock time, ms since 1970
   * @returns the answer, or 412 or 416
   */
  with(file: OpenFile, head: RequestHead, isSecure: boolean, nowMs: number): FileAnswer | number {
    if (!asksMore(head)) return this.whole(200, file, head, isSecure);
    const { facts } = file;
    const conditions = {
      ifMatch: listOf(head, HeaderName.if_match),
      ifUnmodifiedSince: singleOf(head, HeaderName.if_unmodified_since),
      ifNoneMatch: listOf(head, HeaderName.if_none_match),
      ifModifiedSince: singleOf(head, HeaderName.if_modified_since),
    };
    const verdict = evaluate(conditions, facts, nowMs);
    if (verdict === Verdict.failed) return this.refuse(412, '');
    if (verdict === Verdict.not_modified) {
      return this.room.answer.begin(304, facts.validatorLines, this.own, undefined);
    }
    // RFC 9110 §14.2: for other methods than GET it means nothing.
    const range = head.method === Method.GET ? singleOf(head, HeaderName.range) : undefined;
    if (range === undefined) return this.whole(200, file, head, isSecure);
    if (head.has(HeaderName.if_range)) {
      // Two lines are a mistake; whoever makes it has some part of something, and all of this is no mistake.
      const ifRange = singleOf(head, HeaderName.if_range);
      if (ifRange === undefined || !rangeApplies(ifRange, facts, nowMs)) {
        return this.whole(200, file, head, isSecure);
      }
    }
    const ranges = selectRanges(range, facts.size);
    if (ranges === 'whole') return this.whole(200, file, head, isSecure);
    if (ranges === 'unsatisfiable') {
      return this.refuse(416, `Content-Range: bytes */${facts.size}\r\n`);
    }
    return ranges.length === 1
      ? this.part(file, ranges[0]!, isSecure)
      : this.parts(file, ranges, isSecure);
  }

  /**
   * All of a file.
   * @param status 200, or that of the error that the file tells of
   * @param file that was looked at this turn
   */
  whole(status: number, file: OpenFile, head: RequestHead, isSecure: boolean): FileAnswer {
    const { room, own } = this;
    const { answer, worker, cache } = room;
    const { wholeLines, size } = file.facts;
    answer.begin(status, wholeLines, own, undefined);
    if (head.method === Method.HEAD) return answer;
    if (own.bytes !== undefined) {
      answer.prepared = cache.prepared.of(file, own.bytes, worker.clock)?.begin(answer);
      if (answer.prepared?.isWhole) return answer;
    }
    answer.body = room.takeBody().begin(file, 0, size, isSecure);
    return answer;
  }

  private part(file: OpenFile, range: ByteRange, isSecure: boolean): FileAnswer {
    const { room, own, facts } = this;
    const { start, end } = range;
    const { size, contentType, encodingLines, validatorLines } = file.facts;
    const lines = Buffer.concat([
      Buffer.from(
        `Content-Length: ${end - start}\r\nContent-Range: ${contentRange(range, size)}\r\n`,
        'latin1',
      ),
      facts.lines([['Content-Type', contentType]]),
      encodingLines,
      validatorLines,
    ]);
    const body = room.takeBody().begin(file, start, end, isSecure);
    return room.answer.begin(206, lines, own, body);
  }

  private parts(file: OpenFile, ranges: readonly ByteRange[], isSecure: boolean): FileAnswer {
    const { room, own } = this;
    const { size, contentType, encodingLines, validatorLines } = file.facts;
    const multipart = new Multipart(ranges, size, contentType);
    const lines = Buffer.concat([
      Buffer.from(
        `Content-Length: ${multipart.length}\r\nContent-Type: ${multipart.contentType}\r\n`,
        'latin1',
      ),
      encodingLines,
      validatorLines,
    ]);
    const body = room.takeBody().begin(file, 0, 0, isSecure).continueWith(multipart.stretches);
    return room.answer.begin(206, lines, own, body);
  }

  private refuse(status: number, fields: string): number {
    this.refusalFields = fields;
    return status;
  }
}

/** Whether any field makes a difference to what is sent of a file. */
function asksMore(head: RequestHead): boolean {
  return (
    head.has(HeaderName.range) ||
    head.has(HeaderName.if_none_match) ||
    head.has(HeaderName.if_modified_since) ||
    head.has(HeaderName.if_match) ||
    head.has(HeaderName.if_unmodified_since)
  );
}

/** A field that is a list, as one value (RFC 9110 §5.3). */
function listOf(head: RequestHead, name: HeaderName): string | undefined {
  const index = head.find(name);
  if (index < 0) return undefined;
  let value = head.value(index);
  for (let next = head.find(name, index + 1); next >= 0; next = head.find(name, next + 1)) {
    value += `, ${head.value(next)}`;
  }
  return value;
}

/** A field that is none: two lines are a mistake, and no value. */
function singleOf(head: RequestHead, name: HeaderName): string | undefined {
  const index = head.find(name);
  if (index < 0 || head.find(name, index + 1) >= 0) return undefined;
  return head.value(index);
}
