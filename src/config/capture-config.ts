import type { ConfigFile } from './schema/index.js';
import { parseDuration, parseSize, valid } from './values/index.js';

type ListenerFile = ConfigFile['listeners'][string];
type CaptureFile = NonNullable<NonNullable<ListenerFile['tcp']>['capture']>;

/** A listener's `capture` that was found valid, as the program uses it; null: nothing is captured. */
export function toCapture(file: CaptureFile | undefined) {
  if (file === undefined) return null;
  const { directory, directions, sample, max_bytes, rotate } = file;
  return {
    /** As it stands in the file. */
    directory,
    directions: directions as 'both' | 'client' | 'upstream',
    sample,
    /** Of one connection; null: no limit. */
    maxBytes: max_bytes === undefined ? null : valid(parseSize(String(max_bytes))),
    rotate: {
      maxTotalBytes: valid(parseSize(String(rotate.max_total))),
      maxAgeMs: rotate.max_age === undefined ? null : valid(parseDuration(rotate.max_age)),
      maxFlows: rotate.max_flows ?? null,
    },
  };
}
