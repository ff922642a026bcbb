import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { loadConfig, type Problem } from '#src/config/index.js';

const SEED = Number(process.env.SEED ?? 1);
const MUTANTS = Number(process.env.MUTANTS ?? 1500);

/** Pieces that mean something to YAML, to substitution or to an address. */
const PIECES = [
  ...'\n\t "\'[]{}:,-#&*!|>%@`?$<~\0\r\uFEFF\uD800é😀'.split(''),
  ...['\n---\n', '<<: *a\n', '&a ', '*a', '${', `\${A}`, '$${', '${A:-', '}', '!!str ', '? ', '- '],
  ...[
    '__proto__: ',
    'null',
    '.nan',
    '0x10',
    '1e999',
    'bind: ',
    'unix:',
    '[::]:',
    '\n  ',
    '%YAML 1.1\n',
  ],
];

/** mulberry32: small, seeded, good enough to choose where to cut. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function mutate(text: string, random: (below: number) => number): string {
  const at = random(text.length + 1);
  const end = Math.min(text.length, at + random(20));
  switch (random(4)) {
    case 0:
      return text.slice(0, at) + text.slice(end);
    case 1:
      return text.slice(0, at) + PIECES[random(PIECES.length)] + text.slice(at);
    case 2:
      return text.slice(0, end) + text.slice(at);
    default:
      return text.slice(0, at) + PIECES[random(PIECES.length)] + text.slice(end);
  }
}

/** Why a position is none of the file's, or null. One column after the last character is the line's end. */
function outside(text: string, { line, column }: Problem): string | null {
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  if (line < 1 || line > lines.length) return `line ${line} of ${lines.length}`;
  const columns = lines[line - 1]!.length + 1;
  return column < 1 || column > columns ? `column ${column} of ${columns}` : null;
}

t.test(`mutation: whatever the text, loading answers (SEED=${SEED})`, async (t) => {
  const root = new URL('../../../', import.meta.url);
  const files = ['config/', 'test/config/cases/'].flatMap((folder) =>
    readdirSync(new URL(folder, root))
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => readFileSync(new URL(folder + name, root), 'utf8').split(/^----\n/m)[0]!),
  );
  const random = randomFrom(SEED);
  for (let mutant = 0; mutant < MUTANTS; mutant += 1) {
    let text = files[random(files.length)]!;
    for (let changes = 1 + random(5); changes > 0; changes -= 1) text = mutate(text, random);
    let loaded: ReturnType<typeof loadConfig>;
    try {
      loaded = loadConfig(text, { env: { A: 'a' } });
    } catch (error) {
      t.fail('loadConfig threw', { mutant, text, error });
      return;
    }
    if (loaded.ok) continue;
    const stray = loaded.problems.map((problem) => outside(text, problem)).find(Boolean);
    if (loaded.problems.length === 0 || stray) {
      t.fail('a position outside the file', { mutant, text, stray, problems: loaded.problems });
      return;
    }
  }
  t.pass(`${MUTANTS} mutants`);
});
