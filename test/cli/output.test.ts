import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const execute = promisify(execFile);
const cli = fileURLToPath(new URL('../../../dist/cli.js', import.meta.url));

/** Runs a shell's line in which $HEADGATE is the command. */
async function shell(line: string): Promise<{ status: number; stdout: string; stderr: string }> {
  const env = { ...process.env, NODE_OPTIONS: '', HEADGATE: `${process.execPath} ${cli}` };
  const options = { env, timeout: 30_000 };
  try {
    return { status: 0, ...(await execute('bash', ['-c', line], options)) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, stdout, stderr };
  }
}

t.test('output: a reader that has seen enough is no failure', async (t) => {
  for (const command of ['schema', 'doctor', 'capture --help', '--help']) {
    // The reader is gone before anything is written.
    const line = `set -o pipefail; (sleep 0.05; $HEADGATE ${command}) | true; echo \${PIPESTATUS[0]}`;
    const { stdout, stderr } = await shell(line);
    t.equal(stderr, '', command);
    t.equal(stdout, '0\n', command);
  }
});

t.test(
  'output: where it cannot be written, a line says so',
  {
    skip: existsSync('/dev/full') ? false : 'no /dev/full',
  },
  async (t) => {
    for (const command of ['schema', 'doctor', 'capture --help', '--help', '--version']) {
      const { status, stderr } = await shell(`$HEADGATE ${command} > /dev/full`);
      t.equal(status, 1, command);
      t.match(stderr, /^headgate: standard output: .*ENOSPC.*\n$/, command);
    }
  },
);
