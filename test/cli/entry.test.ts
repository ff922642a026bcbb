import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { programPath } from '#test/support/programs/headgate.js';
import { withoutLoader } from '#test/support/programs/program.js';

t.test('a clone has a command that runs, as npx wants it', async (t) => {
  const root = new URL('../../../', import.meta.url);
  const { bin, version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  const command = fileURLToPath(new URL(bin.headgate, root));
  t.equal(execFileSync(command, ['--version'], { encoding: 'utf8' }).trim(), version);
});

t.test('command line: what was probably meant', async (t) => {
  const answers = {
    'chekc -c x.yaml': /^headgate: no command "chekc", did you mean "check"\?\n/,
    sesame: /^headgate: no command "sesame"\n/,
    'check --confg x.yaml': /^headgate check: Unknown option '--confg', did you mean --config\?;/,
    'tcp a b --acess-log':
      /^headgate tcp: Unknown option '--acess-log', did you mean --access-log\?;/,
    'check --sesame': /^headgate check: Unknown option '--sesame';/,
    'check -x': /^headgate check: Unknown option '-x';/,
  };
  for (const [words, stderr] of Object.entries(answers)) {
    const [command, ...args] = withoutLoader([process.execPath, programPath, ...words.split(' ')]);
    t.match(spawnSync(command!, args, { encoding: 'utf8' }), { status: 2, stderr }, words);
  }
});
