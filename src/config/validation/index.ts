/**
 * How a value that does not fit the schema becomes findings for people: our own keywords (`keywords.ts`) ask the values'
 * parsers, and of what ajv reports that is kept which says most (`branch.ts`, `expectation.ts`).
 */
export { withDefaults } from './defaults.js';
export type { JsonSchema } from './expectation.js';
export type { Bounds, KeywordArguments } from './keywords.js';
export { type Finding, show, validator } from './validation.js';
