// Puts the command line, the data plane and the capture thread into one file each (src/bundles.ts says which, and why).
// Beside each goes a map, by which `node --enable-source-maps` says of an exception where in src/ it was.
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from '@rollup/wasm-node';
import { bundles } from '../dist/bundles.js';
import { writeWhole } from './write-whole.mjs';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
/** It holds what src/cli.ts has noted before the command line was there: one for both. */
const signals = `${dist}early-signals.js`;

function read(file) {
  return readFileSync(file, 'utf8');
}

/** Node's own modules, packages, and a module that there may be only one of. */
function isExternal(id) {
  return /^[^./]/.test(id) || id === signals;
}

/** @param path of the file that is to have it all; only what is imported while it runs goes beside it */
async function roll(input, path) {
  const directory = dirname(path);
  const bundle = await rollup({
    input,
    external: isExternal,
    // What is beside it may import from it: then it exports more than the module it begins with.
    preserveEntrySignatures: 'allow-extension',
    plugins: [
      {
        name: 'modules',
        load: (id) => ({ code: read(id), map: read(`${id}.map`) }),
        /** A module looks for files from where it is itself. */
        resolveImportMeta: (property, { chunkId, moduleId }) => {
          if (property !== 'url') throw new Error(`import.meta.${property} in ${moduleId}`);
          const way = relative(dirname(`${directory}/${chunkId}`), moduleId);
          return `new URL(${JSON.stringify(way)}, import.meta.url).href`;
        },
      },
    ],
    onLog(level, log) {
      if (log.code !== 'CIRCULAR_DEPENDENCY') throw new Error(`${level}: ${log.message}`);
    },
  });
  const { output } = await bundle.generate({
    dir: directory,
    entryFileNames: basename(path),
    chunkFileNames: '[name].js',
    format: 'es',
    // A process that was started before the next build finds in it what it imports then.
    minifyInternalExports: false,
    hoistTransitiveImports: false,
    sourcemap: true,
  });
  await bundle.close();
  mkdirSync(directory, { recursive: true });
  // The maps first, and the file whose age counts last.
  for (const file of output.toReversed())
    writeWhole(`${directory}/${file.fileName}`, file.code ?? file.source);
  return output.map(({ fileName }) => `${directory}/${fileName}`);
}

const written = [];
for (const [file, module] of Object.entries(bundles)) {
  written.push(...(await roll(`${dist}${module}`, `${dist}${file}`)));
}
// What an earlier build had beside the command line.
const main = `${dist}main`;
for (const name of readdirSync(main)) {
  if (/\.(js|map)$/.test(name) && !written.includes(`${main}/${name}`)) rmSync(`${main}/${name}`);
}
