import { execFileSync } from 'node:child_process';
import t from 'tap';
import { eagerFeedback, inlining } from '#src/control/workers/compiler.js';

t.test('compiler: V8 knows the flags', async (t) => {
  const known = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  for (const flag of [...inlining, eagerFeedback]) {
    const [name] = flag.replace('--no-', '--').split('=');
    t.match(known, `${name} `);
  }
});
