/** One thing that is wrong with a configuration file, and where. Lines and columns start at 1. */
export interface Problem {
  file: string;
  line: number;
  column: number;
  /** What is wrong, with the offending value, and what was expected. */
  message: string;
}

/** The problem as `file:line:column: message`, the form in which editors and terminals make it a link. */
export function formatProblem({ file, line, column, message }: Problem): string {
  return `${file}:${line}:${column}: ${message}`;
}

/** The problems in the order of the file, each one once: an alias can lead to the same place twice. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const once = new Map(problems.map((problem) => [formatProblem(problem), problem]));
  return [...once.values()].sort(
    (a, b) => a.line - b.line || a.column - b.column || (a.message < b.message ? -1 : 1),
  );
}

const MESSAGE_LENGTH_MAX = 800;
const KEPT_AT_END = 300;

/**
 * A message with what stands in the file as it is, as one line of readable length: control characters would be
 * commands to a terminal, and a line break would pass for the end. What was expected is at the end, and stays.
 */
export function asOneLine(message: string): string {
  const line = message.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0');
    return `\\u${code}`;
  });
  if (line.length <= MESSAGE_LENGTH_MAX) return line;
  return `${line.slice(0, MESSAGE_LENGTH_MAX - KEPT_AT_END)}…${line.slice(-KEPT_AT_END)}`;
}
