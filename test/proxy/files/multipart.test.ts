import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileReply, fileHttp, filesTest } from '#test/support/http/files-rig.js';
import { payload, Random } from '#test/support/random.js';

interface Part {
  readonly start: number;
  readonly bytes: Buffer;
}

/** What a client that goes by RFC 9110 §14.6 and RFC 2046 §5.1 makes of a body, and nothing that it does not say. */
function partsOf({ headers, body }: FileReply, size: number): Part[] {
  const boundary = /^multipart\/byteranges; boundary=([\w'()+,./:=?-]{1,70})$/.exec(
    headers['content-type']!,
  )?.[1];
  if (boundary === undefined) throw new Error(`no boundary: ${headers['content-type']}`);
  const text = `\r\n${body.toString('latin1')}`;
  const [preamble, ...pieces] = text.split(`\r\n--${boundary}`);
  if (preamble !== '') throw new Error('something in front of the first part');
  if (pieces.pop() !== '--\r\n') throw new Error('no end');
  return pieces.map((piece) => {
    const headEnd = piece.indexOf('\r\n\r\n');
    const range = /^\r\nContent-Type: [^\r]+\r\nContent-Range: bytes (\d+)-(\d+)\/(\d+)$/.exec(
      piece.slice(0, headEnd),
    );
    if (range === null) throw new Error(`no part: ${piece.slice(0, headEnd)}`);
    const [first, last, all] = range.slice(1).map(Number) as [number, number, number];
    const bytes = Buffer.from(piece.slice(headEnd + 4), 'latin1');
    if (all !== size) throw new Error(`of ${all} bytes`);
    if (bytes.length !== last - first + 1) throw new Error(`${bytes.length} of ${first}-${last}`);
    return { start: first, bytes };
  });
}

/** The parts of an answer: the whole, one, several, or none of it. */
function answered(reply: FileReply, size: number): Part[] {
  if (reply.status === 416) return [];
  if (reply.status === 200) return [{ start: 0, bytes: reply.body }];
  const one = /^bytes (\d+)-\d+\/(\d+)$/.exec(reply.headers['content-range'] ?? '');
  if (one === null) return partsOf(reply, size);
  return [{ start: Number(one[1]), bytes: reply.body }];
}

/** The first and the last byte a spec asks for; nothing for one that is not there (RFC 9110 §14.1.2). */
function askedBy(spec: string, size: number): [number, number] | undefined {
  const [first, last] = spec.split('-') as [string, string];
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(size - 1, Number(last));
  return start <= end ? [start, end] : undefined;
}

filesTest(
  'multipart: what is asked for, as a client takes it apart',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    const seed = Random.seed();
    const random = new Random(seed);
    const bytes = payload(3, 150_001);
    const size = bytes.length;
    writeFileSync(join(root, 'a.bin'), bytes);
    utimesSync(join(root, 'a.bin'), 1_000_000_000, 1_000_000_000);
    const number = () => (random.oneIn(3) ? random.between(0, 300) : random.between(0, size + 500));
    const spec = () => {
      if (random.oneIn(6)) return `-${number()}`;
      const first = number();
      return random.oneIn(8) ? `${first}-` : `${first}-${first + number()}`;
    };
    const statuses = new Map<string, number>();
    for (let round = 0; round < 120; round++) {
      const specs = Array.from({ length: random.between(1, 6) }, spec);
      const reply = rig.ask('/a.bin', [`Range: bytes=${specs.join(random.pick([',', ', ']))}`]);
      const parts = answered(reply, size);
      const shown = `${specs} (SEED=${seed})`;
      for (const part of parts) {
        const there = bytes.subarray(part.start, part.start + part.bytes.length);
        if (!part.bytes.equals(there)) t.fail(`${shown}: other bytes at ${part.start}`);
      }
      const isSent = (from: number, to: number) =>
        parts.some((part) => part.start <= from && to < part.start + part.bytes.length);
      for (const asked of specs.map((one) => askedBy(one, size))) {
        if (asked !== undefined && !isSent(...asked)) t.fail(`${shown}: not ${asked}`);
      }
      const sent = parts.reduce((sum, part) => sum + part.bytes.length, 0);
      if (sent > size) t.fail(`${shown}: more than there is`);
      const kind = `${reply.status}${parts.length > 1 ? ' in parts' : ''}`;
      statuses.set(kind, (statuses.get(kind) ?? 0) + 1);
    }
    rig.expectSilence();
    for (const kind of ['206', '206 in parts']) t.ok(statuses.get(kind)! > 5, kind);
  },
);
