import { readConfig } from '../config/index.js';
import { isCaptureId, readCapture, type StoredCapture } from '../control/index.js';
import { UsageError } from './options.js';

/** Options that all three have. */
export const placeOptions = {
  directory: { type: 'string', short: 'd' },
  config: { type: 'string', short: 'c' },
} as const;

/** Where to look. @throws UsageError when nobody has said it */
export function captureDirectories(options: {
  directory?: string | undefined;
  config?: string | undefined;
}): string[] {
  const { directory, config = 'headgate.yaml' } = options;
  if (directory !== undefined) return [directory];
  const loaded = readConfig(config);
  if (!loaded.ok) {
    const problem = loaded.problems[0]!.message;
    throw new UsageError(`which directory? ${config} does not say: ${problem}; use --directory`);
  }
  const directories = loaded.config.listeners.flatMap(({ capture }) => capture?.directory ?? []);
  if (directories.length > 0) return [...new Set(directories)];
  throw new UsageError(`which directory? No listener of ${config} has "capture"; use --directory`);
}

/** The capture of that id. @throws UsageError when there is none */
export function findCapture(id: string | undefined, directories: readonly string[]): StoredCapture {
  if (id === undefined) throw new UsageError('which capture? headgate capture list shows ids');
  if (!isCaptureId(id)) throw new UsageError(`"${id}" is not the id of a capture`);
  for (const directory of directories) {
    const capture = readCapture(directory, id);
    if (capture !== undefined) return capture;
  }
  throw new UsageError(`no capture "${id}" in ${directories.join(', ')}`);
}
