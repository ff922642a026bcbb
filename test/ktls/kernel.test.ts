import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { testWith } from '#test/support/machine/capability.js';
import { type MachineRun, tlsMachine } from '#test/support/machine/tls-machine.js';

const tests = fileURLToPath(new URL('..', import.meta.url));

/** Files that need a kernel with TLS: `*.kernel.ts` beside this one run nowhere else. */
const kernelOnly = readdirSync(`${tests}ktls`)
  .filter((name) => name.endsWith('.kernel.js'))
  .map((name) => `ktls/${name}`);

/** Files that run on any machine, and here once more, where the kernel does the work. */
const everywhere: readonly string[] = [
  ...readdirSync(`${tests}tls-suite`)
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => `tls-suite/${name}`),
  'proxy/http/tls-upstream.test.js',
];

const DEADLINE_MS = 560_000;

t.setTimeout(DEADLINE_MS + 15_000);

const machine = tlsMachine();
testWith(
  typeof machine === 'string' ? machine : undefined,
  'kernel TLS: the suite inside a kernel that has it',
  { timeout: DEADLINE_MS + 10_000 },
  async (t) => {
    if (typeof machine === 'string') return;
    t.comment(machine.name);
    // The longest of them are cases of the suite.
    const files = [...everywhere, ...kernelOnly].map((name) => `${tests}${name}`);
    for (const file of files) t.ok(existsSync(file), file);
    for (const run of await machine.run(files, DEADLINE_MS)) {
      await t.test(run.file, async (t) => report(t, run));
    }
  },
);

/** What a file has said there, said again here. */
function report(t: Test, run: MachineRun): void {
  const results = [...run.output.matchAll(/^(?<not>not )?ok \d+ - (?<name>.*?)(?: # time=.*)?$/gm)];
  for (const { groups } of results) t.ok(groups!.not === undefined, groups!.name!);
  t.equal(run.status, 0, run.status === 0 ? 'ended well' : troubles(run.output));
  t.ok(results.length > 0, 'there was something to run');
  // A fallback to OpenSSL would pass for kernel TLS otherwise.
  t.ok(run.tlsStat.TlsTxSw! > 0, `the kernel has encrypted on ${run.tlsStat.TlsTxSw} sockets`);
  t.ok(run.tlsStat.TlsRxSw! > 0, `the kernel has decrypted on ${run.tlsStat.TlsRxSw} sockets`);
}

/** What went wrong, in the words of the run; its last words where it never said so. */
function troubles(output: string): string {
  const lines = output.split('\n');
  const at = lines.flatMap((line, index) => (/^ *not ok /.test(line) ? [index] : []));
  const excerpts = at.map((index) => lines.slice(Math.max(0, index - 3), index + 25).join('\n'));
  return excerpts.length === 0 ? output.slice(-8000) : excerpts.join('\n').slice(0, 16_000);
}
