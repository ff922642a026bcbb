import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { parse } from 'yaml';
import { formatProblem, readConfig } from '#src/config/index.js';
import { configSchema } from '#src/config/schema/schema.js';
import { makeSelfSigned } from '#src/control/tls/self-signed.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const schema = JSON.parse(JSON.stringify(configSchema));

interface Keyed {
  properties?: Record<string, Keyed>;
  patternProperties?: Record<string, Keyed>;
  anyOf?: Keyed[];
  items?: Keyed;
  type?: string;
  examples?: unknown[];
  [keyword: string]: unknown;
}

/** Every key of the schema, however deep. */
function keysOf(schema: Keyed, path = ''): { path: string; keyword: Keyed }[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => [
    { path: `${path}${key}`, keyword: inner },
    ...keysOf(inner, `${path}${key}.`),
  ]);
  const named = Object.values(schema.patternProperties ?? {});
  const alternatives = [...(schema.anyOf ?? []), ...(schema.items ? [schema.items] : [])];
  return [
    ...own,
    ...named.flatMap((inner) => keysOf(inner, `${path}NAME.`)),
    ...alternatives.flatMap((inner) => keysOf(inner, path)),
  ];
}

t.test('schema: it is JSON Schema of draft 2020-12', async (t) => {
  t.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema');
  t.equal(new Ajv2020({ strict: false }).validateSchema(schema), true);
});

t.test('schema: every key has a title, a description and an example', async (t) => {
  const keys = keysOf(schema);
  t.ok(keys.length >= 18);
  for (const { path, keyword } of keys) {
    t.type(keyword.title, 'string', path);
    t.type(keyword.description, 'string', path);
    t.ok(Array.isArray(keyword.examples) && keyword.examples.length > 0, path);
    if ('duration' in keyword || 'size' in keyword || keyword.type === 'integer') {
      t.type(keyword.unit, 'string', `${path} has a unit`);
    }
  }
});

t.test('schema: defaults and examples are values it accepts', async (t) => {
  const ajv = new Ajv2020({ strict: false });
  for (const { path, keyword } of keysOf(schema)) {
    const check = ajv.compile(keyword);
    for (const example of keyword.examples!) t.ok(check(example), path);
    if ('default' in keyword) t.ok(check(keyword.default), path);
  }
});

t.test('schema: config/schema.json is what the code says', async (t) => {
  const file = readFileSync(`${root}config/schema.json`, 'utf8');
  t.strictSame(JSON.parse(file), schema, 'npm run docs writes it');
});

t.test('schema: docs/configuration.md is what the generator prints', async (t) => {
  const script = `${root}scripts/configuration-docs.mjs`;
  const { stdout, status } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  t.equal(status, 0);
  t.equal(readFileSync(`${root}docs/configuration.md`, 'utf8'), stdout, 'npm run docs writes it');
  for (const { path } of keysOf(schema)) t.match(stdout, `| \`${path.split('.').at(-1)}\` |`);
});

const samples = readdirSync(`${root}config`).filter((name) => name.endsWith('.yaml'));

for (const name of samples) {
  t.test(`sample: config/${name} is loaded as it is, and names the schema`, async (t) => {
    const path = `${root}config/${name}`;
    const { chain } = makeSelfSigned(['clients'], Date.now());
    // What no sample can have a default for.
    const CLIENT_CA = `${t.testdir({ 'clients.pem': chain })}/clients.pem`;
    const loaded = readConfig(path, { CLIENT_CA });
    t.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'));
    t.match(readFileSync(path, 'utf8'), /^# yaml-language-server: \$schema=\.\/schema\.json\n/);
  });
}

t.test('sample: config/headgate.yaml is the demonstration of `npm start`', async (t) => {
  const loaded = readConfig(`${root}config/headgate.yaml`, {});
  t.match(loaded, {
    config: {
      listeners: [
        {
          name: 'demo',
          bind: [{ text: '127.0.0.1:8080' }],
          tcp: { routes: [{ upstream: 'origin' }] },
        },
        {
          name: 'web',
          bind: [{ text: '127.0.0.1:8081' }],
          http: { routes: [{}, {}, { action: { targets: [{ upstream: 'origin' }] } }] },
        },
      ],
      upstreams: [{ name: 'origin', demo: true }],
    },
  });
});

t.test('sample: config/headgate.yaml says the defaults where it says anything', async (t) => {
  const file = parse(readFileSync(`${root}config/headgate.yaml`, 'utf8'));
  for (const section of ['log', 'timeouts', 'limits']) {
    for (const [key, value] of Object.entries(file[section])) {
      t.equal(value, schema.properties[section].properties[key].default, `${section}.${key}`);
    }
  }
});
