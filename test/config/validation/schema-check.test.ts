import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { parse } from 'yaml';
import { configSchema } from '#src/config/schema/published-schema.js';
import { readyCheck, schemaCheck, schemaCompiler } from '#src/config/validation/schema-check.js';

const cases = new URL('../../../../test/config/cases/', import.meta.url);

/** What cases are, read without us; undefined where that is no YAML. */
function readCase(name: string): unknown {
  const [input] = readFileSync(new URL(name, cases), 'utf8').split(/^----\n/m);
  try {
    return JSON.parse(JSON.stringify(parse(input!)));
  } catch {
    return undefined;
  }
}

t.test('schema check: that of the build says of each case what ajv says', async (t) => {
  const ready = readyCheck(configSchema);
  if (ready === undefined) throw new Error('the build has none');
  const compiled = schemaCompiler({}).compile(configSchema);
  let wrong = 0;
  for (const name of readdirSync(cases)) {
    const value = readCase(name);
    if (value === undefined) continue;
    const isRight = compiled(value);
    if (!isRight) wrong++;
    const isSame =
      ready(value) === isRight && isDeepStrictEqual(ready.errors ?? [], compiled.errors ?? []);
    if (!isSame) t.same(ready.errors, compiled.errors, name);
  }
  t.ok(wrong > 50, `${wrong} cases are wrong`);
});

t.test(
  'schema check: without that of the build, or for another schema, ajv makes one',
  async (t) => {
    const file = pathToFileURL(`${t.testdir()}/check.cjs`);
    t.equal(readyCheck(configSchema, file), undefined);
    t.equal(schemaCheck({ type: 'number' })('one'), false);
    t.equal(schemaCheck({ type: 'number' })(1), true);
    // As it would be beside an older schema.
    writeFileSync(file, 'exports.digest = "0"; exports.make = () => () => true;');
    t.equal(schemaCheck(configSchema, file)({}), false);
  },
);
