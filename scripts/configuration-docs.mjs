// Prints docs/configuration.md, made from the schema. With --write it writes that file, and
// config/schema.json for editors. Runs after the build: `npm run docs`.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { configSchema } from '../dist/config/schema/schema.js';
import { expectation } from '../dist/config/validation/expectation.js';

const root = fileURLToPath(new URL('..', import.meta.url));

const introduction = `# Configuration

<!-- Made from src/config/schema/ by \`npm run docs\`; change it there. -->

One YAML file says everything: where connections are accepted, where they go, and how much of the machine that
may take. \`headgate check -c FILE\` finds every mistake in it at once, each as \`file:line:column\`. An editor with
[yaml-language-server](https://github.com/redhat-developer/yaml-language-server) completes and checks keys when
the file begins with \`# yaml-language-server: $schema=PATH/schema.json\`; the schema is \`config/schema.json\`.

\`\`\`yaml
listeners:
  postgres:
    bind: "0.0.0.0:5432"
    tcp: { upstream: pg }
upstreams:
  pg:
    endpoints: ["10.0.0.1:5432", "10.0.0.2:5432"]
\`\`\`

**Durations** are whole numbers with a unit: \`500ms\`, \`5s\`, \`2m\`, \`1h\`. **Sizes** are whole numbers of bytes, or of
\`KiB\`, \`MiB\`, \`GiB\`.

**Addresses** of listeners are numeric: \`127.0.0.1:80\`, \`[::1]:80\`, \`[fe80::1%eth0]:80\`, \`unix:/run/app.sock\`, or \`unix:@name\` in
the abstract namespace. A listener may also have \`*:80\` or \`:80\` (every address, IPv4 and IPv6), \`0.0.0.0:80\` (every IPv4
address), \`[::]:80\` (every IPv6 address) and port 0 (the kernel chooses, and the port is printed).

**Environment variables**: in a string, \`\${NAME}\` becomes the variable, \`\${NAME:-default}\` the default when the
variable is not set or empty, and \`$\${\` the two characters \`\${\`. A value that is one variable and nothing else means
what it would mean in the file: with \`N=4\`, \`workers: \${N}\` is a number (and \`!!str \${N}\` a string). Substitution
comes after YAML is read: a variable can't add keys. In \`{ }\` and \`[ ]\` quote it: \`{ level: "\${LEVEL}" }\`.

**YAML** is version 1.2, with anchors, aliases and merge keys (\`<<: *name\`). A key that means nothing is a mistake.
A file has at most 1,048,576 characters and 100,000 values, those behind an alias counted each time; some 20,000 routes.
`;

/** The reference: one section for each mapping, in the order of the schema. */
function sections(schema, path, title) {
  const keys = Object.entries(schema.properties);
  const rows = keys.map(([key, value]) => row(key, value, schema));
  const section = [
    `\n## ${title}\n`,
    schema.description && path ? `${schema.description}\n` : '',
    '| key | type | default | unit | example | |',
    '|---|---|---|---|---|---|',
    ...rows,
  ];
  const inner = keys.flatMap(([key, value]) => innerSections(value, path ? `${path}.${key}` : key));
  return [section.filter(Boolean).join('\n'), ...inner];
}

function innerSections(schema, path) {
  if (schema.properties) return sections(schema, path, `\`${path}\``);
  if (schema.anyOf) return schema.anyOf.flatMap((branch) => innerSections(branch, path));
  if (schema.items) return innerSections(schema.items, `${path}[]`);
  const [named] = Object.values(schema.patternProperties ?? {});
  if (!named) return [];
  if (!named.properties) return innerSections(named, `${path}.NAME`);
  const described = { description: `A name is ${schema.names}.`, ...named };
  return sections(described, `${path}.NAME`, `\`${path}.NAME\``);
}

function row(key, schema, parent) {
  const { default: value, unit, examples, description } = schema;
  const cells = [
    `\`${key}\``,
    expectation(schema),
    value === undefined ? necessity(key, parent) : code(value),
    unit ?? '–',
    examples.map(code).join(' or '),
    description,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function necessity(key, { required = [], oneOf = [] }) {
  const alternatives = oneOf.flatMap((branch) => branch.required);
  if (alternatives.includes(key)) {
    return `one of ${alternatives.map((name) => `\`${name}\``).join(', ')}`;
  }
  return required.includes(key) ? 'required' : '–';
}

function code(value) {
  return `\`${stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()}\``;
}

const reference = [
  introduction,
  ...sections(configSchema, '', 'Top level').map((text) => `${text}\n`),
].join('');

if (process.argv.includes('--write')) {
  const schemaFile = `${root}config/schema.json`;
  writeFileSync(`${root}docs/configuration.md`, reference);
  writeFileSync(schemaFile, `${JSON.stringify(configSchema, null, 2)}\n`);
  // The gate formats JSON too.
  const biome = `${root}node_modules/.bin/biome`;
  const { status } = spawnSync(biome, ['format', '--write', schemaFile], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} else {
  process.stdout.write(reference);
}
