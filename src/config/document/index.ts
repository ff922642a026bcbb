/**
 * From the text of a file to a plain value, and a place in the text for each part of it: YAML, its mistakes in words
 * for people (`syntax.ts`), variables of the environment, and the problems that are told with line and column.
 */
export { readDocument, type SourceDocument } from './document.js';
export type { Environment } from './environment.js';
export { entries, isMapping, property } from './plain-value.js';
export { keyPointer, pointerPath, ROOT } from './pointer.js';
export { asOneLine, formatProblem, inOrder, type Problem } from './problem.js';
export { readSource, SOURCE_BYTES_MAX } from './source-file.js';
