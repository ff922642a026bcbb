// What a program under test has captured, as found in its directory.
import { existsSync, readFileSync } from 'node:fs';
import { capturePath, listCaptures, type StoredCapture } from '#src/control/index.js';
import { until } from '../deadline.js';
import type { Headgate } from '../programs/headgate.js';

/** The captures of a directory, once `count` of them have ended. */
export function ended(
  directory: string,
  count: number,
  headgate?: Headgate,
): Promise<StoredCapture[]> {
  const found = () => {
    const all = existsSync(directory) ? listCaptures(directory) : [];
    return all.filter(({ end }) => end !== undefined).length >= count ? all : undefined;
  };
  return until(15_000, `${count} captures`, found, headgate?.context);
}

export function bytesOf(
  { directory, head }: StoredCapture,
  direction: 'client' | 'upstream',
): Buffer {
  return readFileSync(capturePath(directory, head.id, direction));
}
