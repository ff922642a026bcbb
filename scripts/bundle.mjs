// Puts the data plane into one file, dist/worker.js, which worker threads run: V8 takes a constant of the module at
// hand for what it is, and looks up one that was imported, each time (docs/architecture.md).
import { fileURLToPath } from 'node:url';
import { rollup } from '@rollup/wasm-node';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));

const bundle = await rollup({
  input: `${dist}proxy/worker-main.js`,
  // Packages and Node's own modules stay what they are.
  external: (id) => /^[^./]/.test(id),
  onLog(level, log) {
    if (log.code !== 'CIRCULAR_DEPENDENCY') throw new Error(`${level}: ${log.message}`);
  },
});
await bundle.write({ file: `${dist}worker.js`, format: 'es' });
await bundle.close();
