import { readdirSync, readlinkSync } from 'node:fs';

/** Open descriptors of this process by kind: `socket`, `pipe`, `[eventpoll]`, `[eventfd]`, `file`. */
export type Descriptors = Record<string, number>;

export function descriptors(): Descriptors {
  const kinds: Descriptors = {};
  for (const fd of readdirSync('/proc/self/fd')) {
    let target: string;
    try {
      target = readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The directory's own descriptor, gone by now.
      continue;
    }
    const kind =
      /^(?:anon_inode:)?(?<kind>socket|pipe|\[\w+\])/.exec(target)?.groups?.kind ?? 'file';
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}
