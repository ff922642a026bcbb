// Golden cases: wire bytes and what is to be read from them, in the files of cases/.
//
//   ### what the case shows
//   GET / HTTP/1.1\r\n
//   Host: a.example\r\n
//   \r\n
//   ----
//   consumed 37
//   …
//
// In the bytes, `\r`, `\n`, `\t`, `\\` and `\xHH` are escapes, and the line ends of the file itself mean nothing.
// `{x*100}` repeats what stands before the star. UPDATE=1 writes what was read below the line of dashes.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';

export interface GoldenCase {
  readonly name: string;
  readonly wire: string;
  readonly bytes: Buffer;
  readonly expected: string;
}

// Tests run compiled, from build/test; the cases stay where they are.
const folder = new URL('../../../../../test/proxy/http/message/cases/', import.meta.url);

/** All cases of the files whose name begins with `prefix`. */
export function goldenCases(prefix: string): GoldenCase[] {
  return caseFiles(prefix).flatMap(readCases);
}

function caseFiles(prefix: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith(prefix));
}

function readCases(file: string): GoldenCase[] {
  const text = readFileSync(new URL(file, folder), 'utf8');
  return text
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const lineEnd = section.indexOf('\n');
      const [wire, expected = ''] = section.slice(lineEnd + 1).split(/^----\n/m);
      return {
        name: section.slice(0, lineEnd),
        wire: wire!,
        bytes: bytesOf(wire!),
        expected: expected.trim(),
      };
    });
}

/** Writes the file anew with what was read; the comment above the first case stays. */
function writeCases(file: string, found: readonly (GoldenCase & { found: string })[]): void {
  const url = new URL(file, folder);
  const comment = readFileSync(url, 'utf8').split(/^### /m)[0]!;
  const sections = found.map(({ name, wire, found }) => `### ${name}\n${wire}----\n${found}\n`);
  writeFileSync(url, comment + sections.join('\n'));
}

export function bytesOf(wire: string): Buffer {
  const text = wire
    .replaceAll('\n', '')
    .replace(/\{(.*?)\*(\d+)\}/g, (_, what: string, times: string) => what.repeat(Number(times)))
    .replace(/\\(?:([rnt\\])|x([0-9a-f]{2}))/g, (_, letter?: string, hex?: string) =>
      hex === undefined
        ? { r: '\r', n: '\n', t: '\t', '\\': '\\' }[letter!]!
        : String.fromCharCode(Number.parseInt(hex, 16)),
    );
  return Buffer.from(text, 'latin1');
}

/**
 * Runs the cases of all files whose name begins with `prefix`.
 *
 * @param read what is to be said about a case
 * @param check compares that, in every way the bytes can arrive
 */
export function runCases(
  t: Test,
  prefix: string,
  read: (golden: GoldenCase) => string,
  check: (t: Test, golden: GoldenCase) => void,
): void {
  for (const file of caseFiles(prefix)) {
    const cases = readCases(file);
    if (process.env.UPDATE) {
      const found = cases.map((golden) => ({ ...golden, found: read(golden) }));
      writeCases(file, found);
      continue;
    }
    for (const golden of cases) {
      t.test(`${file}: ${golden.name}`, async (t) => check(t, golden));
    }
  }
}
