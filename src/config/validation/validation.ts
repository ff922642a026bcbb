import type { ErrorObject, ValidateFunction } from 'ajv';
import { keyPointer, pointerPath, ROOT } from '../document/index.js';
import { closestWord, expectedWord, oneOf } from '../values/index.js';
import { alternativeKeys, withoutOtherBranches } from './branch.js';
import { expectation, type JsonSchema } from './expectation.js';
import { schemaCheck } from './schema-check.js';

/** Something wrong with the value at a pointer, before it is known where in the file that is. */
export interface Finding {
  pointer: string;
  /** What to point at: the value, or its key where the key is what is wrong or lacks something. */
  at: 'key' | 'value';
  message: string;
  /** It is about something that is not there, and may be in a part of the file that could not be read. */
  absence: boolean;
}

/**
 * A check of values by a schema, which is loaded or compiled when the first value comes: most commands never have one.
 * The schema alone knows keys; here they are only data.
 *
 * @param schema a valid one: a test of ours looks at that, once for all
 */
export function validator(schema: object): (value: unknown) => Finding[] {
  let check: ValidateFunction | undefined;
  return (value) => {
    check ??= schemaCheck(schema);
    if (check(value)) return [];
    return withoutConsequences(withoutOtherBranches(check.errors!)).map(toFinding);
  };
}

/** Without what else is said about a value that is not even of the type its schema wants. */
function withoutConsequences(errors: readonly ErrorObject[]): ErrorObject[] {
  const ofWrongType = new Map<string, unknown>();
  for (const { keyword, instancePath, parentSchema } of errors) {
    if (keyword === 'type') ofWrongType.set(instancePath, parentSchema);
  }
  return errors.filter(({ keyword, instancePath, parentSchema, params }) => {
    if (keyword === 'type' || !ofWrongType.has(instancePath)) return true;
    // ajv does not say whose the errors of our own keywords are.
    return ofWrongType.get(instancePath) !== parentSchema && params.reason === undefined;
  });
}

function toFinding(error: ErrorObject): Finding {
  const { keyword, instancePath: pointer, params, data } = error;
  const schema = error.parentSchema as JsonSchema;
  const path = pointerPath(pointer);
  switch (keyword) {
    case 'required':
      return missingKey(pointer, params.missingProperty, schema);
    case 'additionalProperties':
      return unknownKey(pointer, params.additionalProperty, schema);
    case 'oneOf': {
      const keys = alternativeKeys(schema.oneOf!);
      if (keys) return wrongAlternatives(pointer, keys, data as object);
      break;
    }
    case 'minItems':
    case 'minProperties':
      return about(pointer, `${path} is empty, expected at least ${params.limit}`, 'key');
    case 'uniqueItems':
      return about(
        keyPointer(pointer, params.i),
        `${path} has ${show((data as unknown[])[params.i])} twice, expected each at most once`,
      );
    case 'maxItems':
    case 'maxProperties':
      return about(
        pointer,
        `${path} has ${Object.keys(data as object).length}, expected at most ${params.limit}`,
        'key',
      );
  }
  if (params.reason === undefined) {
    return { ...about(pointer, unexpected(path, data, schema)), absence: data === null };
  }
  const shown = params.isSecret ? 'not valid' : show(data);
  // A reference may be to what stands in the part that could not be read.
  return {
    ...about(pointer, `${path} is ${shown}: ${params.reason}`),
    absence: keyword === 'reference',
  };
}

function about(pointer: string, message: string, at: Finding['at'] = 'value'): Finding {
  return { pointer, at, message, absence: false };
}

function unexpected(path: string, data: unknown, schema: JsonSchema): string {
  if (schema.secret) return `${path} is not valid, expected ${expectation(schema)}`;
  const words = [schema, ...(schema.anyOf ?? [])].flatMap((one) => one.enum ?? one.const ?? []);
  const meant = typeof data === 'string' ? closestWord(data, words.map(String)) : null;
  const suggestion = meant === null ? '' : `; did you mean "${meant}"?`;
  return `${path} is ${show(data)}, expected ${expectation(schema)}${suggestion}`;
}

function missingKey(pointer: string, key: string, schema: JsonSchema): Finding {
  const message = `${pointerPath(pointer)} has no "${key}", expected ${expectation(schema.properties![key]!)}`;
  return { pointer, at: 'key', message, absence: true };
}

function unknownKey(pointer: string, key: string, schema: JsonSchema): Finding {
  const place = pointer === ROOT ? 'at the top level' : `in ${pointerPath(pointer)}`;
  const message = schema.patternProperties
    ? `${show(key)} ${place} is not a name, expected ${schema.names}`
    : `unknown key ${show(key)} ${place}, ${expectedWord(key, Object.keys(schema.properties ?? {}))}`;
  return about(keyPointer(pointer, key), message, 'key');
}

function wrongAlternatives(pointer: string, keys: readonly string[], data: object): Finding {
  const path = pointerPath(pointer);
  const present = Object.keys(data).filter((key) => keys.includes(key));
  if (present.length === 0) {
    const message = `${path} has no ${oneOf(keys.map(show))}, expected exactly one of them`;
    return { pointer, at: 'key', message, absence: true };
  }
  const message = `${path} has ${present.map(show).join(' and ')}, expected exactly one of them`;
  return about(keyPointer(pointer, present.at(-1)!), message, 'key');
}

const SHOWN_LENGTH_MAX = 80;

/** The value as a message quotes it. */
export function show(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}
