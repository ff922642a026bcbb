import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Ajv, Options, ValidateFunction } from 'ajv';
import { isFresh } from '../../bundles.js';
import { ANNOTATIONS, ajvKeywords } from './keywords.js';

const FILE = new URL('../../schema-check.cjs', import.meta.url);

/** What `scripts/schema-check.mjs` writes: ajv's function for one schema, as text. */
export interface ReadyCheck {
  /** Of the schema that it is for. */
  readonly digest: string;
  make(schema: object, keywords: Record<string, unknown>): ValidateFunction;
}

/**
 * The check of values by a schema. That of the published schema is there from the build; where it is not, or is not
 * of this schema or older than the code, ajv makes it: to load ajv and to compile took longer than all else at a start.
 *
 * @param schema a valid one: a test of ours looks at that, once for all
 * @param file that of the build, or another
 */
export function schemaCheck(schema: object, file = FILE): ValidateFunction {
  return readyCheck(schema, file) ?? schemaCompiler({}).compile(schema);
}

/** @returns undefined where there is none */
export function readyCheck(schema: object, file = FILE): ValidateFunction | undefined {
  if (!isFresh(file)) return undefined;
  const load = createRequire(import.meta.url);
  const { digest, make } = load(fileURLToPath(file)) as ReadyCheck;
  if (digest !== schemaDigest(schema)) return undefined;
  return make(
    schema,
    Object.fromEntries(ajvKeywords.map(({ keyword, validate }) => [keyword as string, validate])),
  );
}

export function schemaDigest(schema: object): string {
  return createHash('sha256').update(JSON.stringify(schema)).digest('hex');
}

/** Without what makes the check faster, and its compilation twice as slow. */
export function schemaCompiler(code: NonNullable<Options['code']>): Ajv {
  const load = createRequire(import.meta.url);
  const { Ajv2020 } = load('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
  const ajv = new Ajv2020({
    ...{ allErrors: true, verbose: true, strictTypes: false },
    ...{ meta: false, validateSchema: false, code: { optimize: false, ...code } },
  });
  ajv.addVocabulary(ANNOTATIONS);
  for (const keyword of ajvKeywords) ajv.addKeyword(keyword);
  return ajv;
}
