import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The three files of a flow, by what their names end in. */
export const captureSuffixes = {
  record: '.jsonl',
  client: '.client',
  upstream: '.upstream',
} as const;
export type CaptureFileKind = keyof typeof captureSuffixes;

const NAME = /^([0-9a-z]+(?:-[0-9a-z]+)+)(\.jsonl|\.client|\.upstream)$/;

/** Whether a text may be the id of a capture: nothing else becomes part of a path. */
export function isCaptureId(text: string): boolean {
  return NAME.test(`${text}${captureSuffixes.record}`);
}

export function capturePath(directory: string, id: string, kind: CaptureFileKind): string {
  return join(directory, `${id}${captureSuffixes[kind]}`);
}

/** What a file of a capture directory belongs to; nothing for one that is not ours. */
export function parseFileName(name: string): { id: string; kind: CaptureFileKind } | undefined {
  const [, id, suffix] = NAME.exec(name) ?? [];
  if (id === undefined) return undefined;
  const kinds = Object.keys(captureSuffixes) as CaptureFileKind[];
  return { id, kind: kinds.find((kind) => captureSuffixes[kind] === suffix)! };
}

/** A name for a process that no later one has: a number of a process is used again, with another beginning. */
export function processName(pid: number | 'self' = 'self'): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Behind the program's name, which may have anything in it: field 22 is the time it began (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${stat.slice(0, stat.indexOf(' '))}-${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** Whether the process that wrote a record still runs. */
export function isRunning(name: string): boolean {
  return processName(Number(name.split('-')[0])) === name;
}
