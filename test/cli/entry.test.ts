import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

t.test('a clone has a command that runs, as npx wants it', async (t) => {
  const root = new URL('../../../', import.meta.url);
  const { bin, version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  const command = fileURLToPath(new URL(bin.headgate, root));
  t.equal(execFileSync(command, ['--version'], { encoding: 'utf8' }).trim(), version);
});
