#!/usr/bin/env node
import { moduleToRun } from './bundles.js';
import { holdSignals } from './early-signals.js';

if (process.argv[2] === 'run') holdSignals();
// Only now: what is imported statically is read before anything runs, and that takes longest.
const { main }: typeof import('./cli/index.js') = await import(moduleToRun('main/index.js').href);

main(process.argv.slice(2)).then(
  (exitCode) => {
    // What was printed may have been lost.
    process.exitCode ||= exitCode;
  },
  (error) => {
    // Every expected failure is an exit code and a line of its own; this is a bug.
    console.error(error);
    process.exitCode = 1;
  },
);
