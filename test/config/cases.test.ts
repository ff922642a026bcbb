import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { formatProblem, loadConfig } from '#src/config/index.js';

/** Each file is a configuration, a line `----`, and what there is to say about it: problems, or `ok`. */
const cases = new URL('../../../test/config/cases/', import.meta.url);

/** The environment all cases are loaded in. */
const env = {
  WORKERS: '3',
  LEVEL: 'debug',
  EMPTY: '',
  STRUCTURE: '{ level: debug }',
  COMMENT: '3 # three',
};

for (const name of readdirSync(cases).sort()) {
  t.test(`config case: ${name.replace(/\.yaml$/, '').replaceAll('-', ' ')}`, async (t) => {
    const path = new URL(name, cases);
    const [input, expected] = readFileSync(path, 'utf8').split(/^----\n/m) as [string, string];
    const loaded = loadConfig(input, { file: 'case.yaml', env });
    const output = loaded.ok ? 'ok\n' : `${loaded.problems.map(formatProblem).join('\n')}\n`;
    // UPDATE=1 writes what is said now; the difference is then read by a person.
    if (process.env.UPDATE) writeFileSync(path, `${input}----\n${output}`);
    else t.equal(output, expected);
  });
}
