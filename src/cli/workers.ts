import { UsageError } from './options.js';

/** @throws UsageError unless the text is `auto` or a number of threads */
export function parseWorkers(text: string): number | 'auto' {
  if (text === 'auto') return 'auto';
  const workers = Number(text);
  if (Number.isInteger(workers) && workers >= 1 && workers <= 256) return workers;
  throw new UsageError(`--workers is "${text}", expected "auto" or a number from 1 to 256`);
}
