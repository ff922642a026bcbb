import { statSync } from 'node:fs';

const ROOT = new URL('../', import.meta.url);

/**
 * What `scripts/bundle.mjs` makes: files in dist/, each with the module it begins with and all that this one imports. To
 * find, read and link some hundred modules takes Node longer than to run them; and in one module V8 knows what a constant
 * or a function of another file is, and need not look it up each time.
 */
export const bundles = {
  'main/index.js': 'cli/index.js',
  'recorder.js': 'control/capture/recorder-main.js',
  'worker.js': 'proxy/worker-main.js',
} as const;

export type Bundle = keyof typeof bundles;

/**
 * What to run: the bundle. Where somebody has built without it, or has changed a module since, it is the modules: they do
 * the same.
 *
 * @param root of the package
 */
export function moduleToRun(bundle: Bundle, root = ROOT): URL {
  const file = new URL(`dist/${bundle}`, root);
  return isFresh(file, root) ? file : new URL(`dist/${bundles[bundle]}`, root);
}

/** Whether what was made of modules is there, and of these. */
export function isFresh(file: URL, root = ROOT): boolean {
  const madeMs = changedMs(file);
  // What the compiler writes when a module has changed; the package has none.
  return madeMs > 0 && madeMs >= changedMs(new URL('build/src.tsbuildinfo', root));
}

/** @returns 0 for what is not there */
function changedMs(file: URL): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
