// What README and docs/ show is what the program takes: samples, links, paths, and the map of the house.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { loadConfig } from '#src/config/index.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];
const textOf = (page: string) => readFileSync(join(root, page), 'utf8');

/** A sample names files and upstreams of somebody else's machine, and may be the part of a file. */
const elsewhere = /there is no such|there are no upstreams|has no "listeners"/;
/** YAML for another program. */
const foreign = /^scrape_configs:/;

/** A sample as whole files: alternatives stand in lines of one key, and a part may be indented. */
function filesOf(sample: string): string[] {
  if (foreign.test(sample)) return [];
  if (/^ /.test(sample)) return [`listeners:\n${sample}`];
  const lines = sample.trimEnd().split('\n');
  const isAlternatives = lines.length > 1 && lines.every((line) => line.startsWith('admin: '));
  return isAlternatives ? lines : [sample];
}

for (const page of pages) {
  const text = textOf(page);
  const samples = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, sample]) => sample!);
  if (samples.length === 0) continue;
  t.test(`${page}: samples are valid`, async (t) => {
    for (const sample of samples.flatMap(filesOf)) {
      const env = { HEADGATE_ADMIN_TOKEN: 'a-token-that-is-long-enough-to-be-one' };
      const loaded = loadConfig(sample, { env });
      const problems = loaded.ok ? [] : loaded.problems;
      t.same(
        problems.map(({ message }) => message).filter((message) => !elsewhere.test(message)),
        [],
        sample.slice(0, 60),
      );
    }
  });
}

t.test('documents: links lead somewhere', async (t) => {
  for (const page of pages) {
    for (const [, link] of textOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link!)) continue;
      const [file, anchor] = link!.split('#');
      const target = file === '' ? page : join(dirname(page), file!);
      t.ok(existsSync(join(root, target)), `${page}: ${link}`);
      if (anchor !== undefined) t.ok(anchorsOf(target).has(anchor), `${page}: ${link}`);
    }
  }
});

t.test('documents: paths in them exist', async (t) => {
  for (const page of pages) {
    const text = textOf(page);
    for (const [, path] of text.matchAll(/`((?:src|test|config|examples|scripts)\/[\w./-]+)`/g)) {
      t.ok(existsSync(join(root, path!)), `${page}: ${path}`);
    }
  }
});

t.test('docs/architecture.md: the map has every room, and no other', async (t) => {
  const [, map] = /## The map\n\n```\nsrc\/\n(.*?)\n```/s.exec(textOf('docs/architecture.md'))!;
  const drawn: string[] = [];
  const above: string[] = [];
  for (const line of map!.split('\n')) {
    const [, indent, name] = /^( {2,6})([a-z]+)\//.exec(line) ?? [];
    if (name === undefined) continue;
    above.length = indent!.length / 2 - 1;
    above.push(name);
    drawn.push(above.join('/'));
  }
  const rooms = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(root, 'src').length + 1));
  t.same(drawn.sort(), rooms.sort());
});

/** What GitHub makes of a page's headings. */
function anchorsOf(page: string): Set<string> {
  const headings = [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}

t.test('what the package exports says what it is', async (t) => {
  const sources = (readdirSync(join(root, 'src'), { recursive: true }) as string[])
    .filter((name) => name.endsWith('.ts'))
    .map((name) => [name, textOf(`src/${name}`)] as const);
  const exportsOf = (entry: string) =>
    new Set(
      [...textOf(entry).matchAll(/^export (?:type )?\{([^}]*)\}/gm)]
        .flatMap(([, names]) => names!.split(','))
        .map((name) => name.replace('type ', '').trim())
        .filter((name) => name !== ''),
    );
  const declaration =
    /(\*\/\n)?^export (?:async )?(?:class|function|const|interface|type|enum) (\w+)/gm;
  for (const [entry, rooms] of [
    ['src/splice/index.ts', /^splice\//],
    ['src/index.ts', /^(config|control)\//],
  ] as const) {
    const documented = new Map<string, boolean>();
    for (const [name, text] of sources) {
      if (!rooms.test(name)) continue;
      for (const [, comment, word] of text.matchAll(declaration)) {
        // A constant and the type of its values have one comment for both.
        documented.set(word!, documented.get(word!) || comment !== undefined);
      }
    }
    const exported = [...exportsOf(entry)].filter((word) => documented.has(word));
    t.ok(exported.length > 10, `${entry}: ${exported.length} declarations found`);
    t.same(
      exported.filter((word) => !documented.get(word)),
      [],
      `${entry}: all of them have a comment`,
    );
  }
});
