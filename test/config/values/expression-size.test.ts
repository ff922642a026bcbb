import { RE2JS } from 're2js';
import t from 'tap';
import { expressionSize } from '#src/config/values/expression-size.js';
import { parseRegularExpression } from '#src/config/values/regular-expression.js';

t.test('expression size: about what the engine makes of it', async (t) => {
  for (const text of [
    'x',
    '^/v[0-9]+/users/(?P<id>\\d+)$',
    'x{1000}',
    'x{0,500}y{20,}',
    '(x[a-f]{3}){50}',
    '(?:ab|cd){100}',
    '(?i)(bot|crawler|spider){1,30}',
    '((a{5}b){10}c){20}',
    '[{1000}]{2}',
    '[]{1000}]{2}',
    '[^]{1000}]x',
    '[[:alpha:]{1000}_]{30}',
    '\\{1000}',
    '\\x{1000}\\x{41}{20}',
    '\\p{Greek}{20}',
    '\\Qx{1000}\\E',
    '(a)(b)(c){300}',
  ]) {
    const made = RE2JS.compile(text).programSize();
    const size = expressionSize(text);
    t.ok(size >= made / 2 - 10 && size <= made * 2 + 10, `${text}: ${size}, ${made} made`);
  }
});

t.test('expression size: any text has one', async (t) => {
  for (const text of [
    '',
    ')',
    '(((',
    '{5}',
    '|||',
    '[',
    '\\',
    '(?',
    '\\Q',
    'a{2}{3}',
    '(?i',
    '[^',
  ]) {
    t.type(expressionSize(text), 'number', text);
  }
  for (const part of ['[', '(', '(?', '\\Q', '\\p{', '[[:', '[[:a:]', '{1', '(?P<']) {
    t.ok(expressionSize(part.repeat(200_000)) >= 0, part);
  }
  t.ok(expressionSize(`${'('.repeat(200)}x${'){1000}'.repeat(200)}`) > 1e100);
});

t.test('regular expression: one that is too large is refused before it is compiled', async (t) => {
  const [most, more] = ['x{1000}'.repeat(100), 'x{1000}'.repeat(1_000)];
  t.match(parseRegularExpression(most), { ok: true });
  for (const text of [`${most}x`, more, `(${'/products'.repeat(20)}){600}`]) {
    t.match(parseRegularExpression(text), {
      ok: false,
      reason: /^with its repetitions written out it is larger than 100000, expected a regular/,
    });
  }
  // What the engine refuses, it explains better.
  t.match(parseRegularExpression('x{100000}'), { ok: false, reason: /invalid repeat count/ });
});
