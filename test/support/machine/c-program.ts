import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** True where a C compiler can be asked what the headers of this machine say. */
export const hasCompiler = spawnSync('gcc', ['--version']).status === 0;

/**
 * The values of constant C expressions, as the headers of this machine have them.
 *
 * @param headers without brackets
 * @param expressions integers of at most 32 bits
 */
export function evaluate(
  headers: readonly string[],
  expressions: readonly string[],
): Map<string, number> {
  const directory = mkdtempSync(join(tmpdir(), 'headgate-headers-'));
  try {
    const source = join(directory, 'print.c');
    const program = join(directory, 'print');
    writeFileSync(source, printer(headers, expressions));
    const compiled = spawnSync('gcc', ['-o', program, source], { encoding: 'utf8' });
    if (compiled.status !== 0) throw new Error(compiled.stderr);
    const { stdout } = spawnSync(program, { encoding: 'utf8' });
    return new Map(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('='))
        .map(([expression, value]) => [expression!, Number(value)]),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function printer(headers: readonly string[], expressions: readonly string[]): string {
  const prints = expressions.map(
    (expression) =>
      `  printf("%s=%lld\\n", "${expression}", (long long)(unsigned)(${expression}));`,
  );
  return [
    '#define _GNU_SOURCE',
    ...['stdio.h', 'stddef.h', ...headers].map((header) => `#include <${header}>`),
    'int main(void) {',
    ...prints,
    '  return 0;',
    '}',
    '',
  ].join('\n');
}
