// Puts the data plane into one file, dist/worker.js, which worker threads run: V8 takes a constant of the module at
// hand for what it is, and looks up one that was imported, each time (docs/architecture.md). Beside it goes a map, by which
// `node --enable-source-maps` says of an exception where in src/ it was.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rollup } from '@rollup/wasm-node';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));

function read(file) {
  return readFileSync(file, 'utf8');
}

/** In one piece: who is stopped meanwhile, or has company, leaves no half of a file. */
function write(file, content) {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, content);
  renameSync(draft, file);
}

const bundle = await rollup({
  input: `${dist}proxy/worker-main.js`,
  // Packages and Node's own modules stay what they are.
  external: (id) => /^[^./]/.test(id),
  plugins: [{ name: 'maps', load: (id) => ({ code: read(id), map: read(`${id}.map`) }) }],
  onLog(level, log) {
    if (log.code !== 'CIRCULAR_DEPENDENCY') throw new Error(`${level}: ${log.message}`);
  },
});
const { output } = await bundle.generate({
  file: `${dist}worker.js`,
  format: 'es',
  sourcemap: true,
});
const [{ code, map }] = output;
write(`${dist}worker.js.map`, map.toString());
write(`${dist}worker.js`, code);
await bundle.close();
