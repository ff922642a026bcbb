import type { MirrorConfig } from '../../config/index.js';
import type { MirrorSnapshot } from '../../proxy/index.js';

/** What a worker is told about a mirror. @param positions of the workers' upstreams, by name */
export function mirrorSnapshot(
  { upstream, sample, concurrentMax, bufferBytes, timeoutMs }: NonNullable<MirrorConfig>,
  positions: ReadonlyMap<string, number>,
  workers: number,
): MirrorSnapshot {
  return {
    upstream: positions.get(upstream)!,
    sample,
    concurrentMax: Math.ceil(concurrentMax / workers),
    bufferBytes,
    timeoutMs,
  };
}
