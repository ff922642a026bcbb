import { renameSync, writeFileSync } from 'node:fs';

/** Writes a file in one piece: who is stopped meanwhile, or has company, leaves no half of it. */
export function writeWhole(file, content) {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, content);
  renameSync(draft, file);
}
