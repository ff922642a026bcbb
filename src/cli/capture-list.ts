import { listCaptures, type StoredCapture } from '../control/index.js';
import { captureDirectories, placeOptions } from './capture-place.js';
import { parseOptions, UsageError } from './options.js';
import { printable } from './printable.js';

const AGO_UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

export async function captureList(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    ...placeOptions,
    listener: { type: 'string' },
    client: { type: 'string' },
    since: { type: 'string' },
    incomplete: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  });
  const [directory = values.directory, ...others] = positionals;
  if (others.length > 0) throw new UsageError(`unexpected "${others[0]}"`);
  const sinceMs = values.since === undefined ? Number.NEGATIVE_INFINITY : parseSince(values.since);
  const captures = captureDirectories({ ...values, directory })
    .flatMap(readable)
    .filter(
      (capture) =>
        (values.listener === undefined || capture.head.listener === values.listener) &&
        (values.client === undefined || isClient(capture.head.client, values.client)) &&
        (!values.incomplete || capture.state !== 'complete') &&
        Date.parse(capture.head.start) >= sinceMs,
    );
  process.stdout.write(
    values.json
      ? captures.map((one) => `${JSON.stringify(summary(one))}\n`).join('')
      : table(captures),
  );
  return 0;
}

/** @throws UsageError when the directory cannot be read */
function readable(directory: string): StoredCapture[] {
  try {
    return listCaptures(directory);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new UsageError(code === 'ENOENT' ? `no directory ${directory}` : message);
  }
}

/** A capture in one object: what its record says at its beginning and at its end. */
function summary({ head, end, state, clientBytes, upstreamBytes, directory }: StoredCapture) {
  const { format: _, process: __, ...known } = head;
  const captured = { client: clientBytes, upstream: upstreamBytes };
  return { ...known, ...end, directory, state, captured };
}

function table(captures: readonly StoredCapture[]): string {
  const head = [
    'ID',
    'LISTENER',
    'CLIENT',
    'START',
    'TIME',
    'CLIENT SENT',
    'UPSTREAM SENT',
    'STATE',
  ];
  const rows = captures.map((capture) => [
    capture.head.id,
    printable(capture.head.listener),
    capture.head.client === '' ? '-' : printable(capture.head.client),
    printable(capture.head.start),
    capture.end === undefined ? '-' : `${(capture.end.duration_us / 1e6).toFixed(3)}s`,
    String(capture.clientBytes),
    String(capture.upstreamBytes),
    stateText(capture),
  ]);
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** In one word, and why, if it lacks something. */
export function stateText({ state, end }: StoredCapture): string {
  if (state !== 'incomplete') return state;
  return `incomplete: ${printable(end?.incomplete ?? 'interrupted')}`;
}

function isClient(address: string, wanted: string): boolean {
  if (address === wanted) return true;
  const host = address.slice(0, address.lastIndexOf(':'));
  return host === wanted || host === `[${wanted}]`;
}

/** @throws UsageError for what is no time */
function parseSince(text: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const ms =
    count === undefined
      ? Date.parse(text)
      : Date.now() - Number(count) * AGO_UNITS_MS[unit as keyof typeof AGO_UNITS_MS];
  if (Number.isNaN(ms))
    throw new UsageError(`--since "${text}" is no time, expected 2026-01-31T12:00:00Z or 15m`);
  return ms;
}
