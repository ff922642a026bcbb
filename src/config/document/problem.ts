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
