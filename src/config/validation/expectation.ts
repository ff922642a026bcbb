import { allOf, oneOf } from '../values/index.js';
import { alternativeKeys } from './branch.js';
import { expectedByKeyword } from './keywords.js';

/** A JSON Schema as data, the way ajv hands it back with its errors. */
export interface JsonSchema {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  patternProperties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  minimum?: number;
  maximum?: number;
  /** What a name, or any text with a pattern, is made of. */
  names?: string;
  /** A value that must not be shown. */
  secret?: boolean;
  default?: unknown;
}

/** What a schema expects, as a noun phrase after "expected". */
export function expectation(schema: JsonSchema): string {
  return oneOf([...new Set(alternatives(schema))]);
}

function alternatives(schema: JsonSchema): string[] {
  if ('const' in schema) return [word(schema.const)];
  if (schema.enum) return schema.enum.map(word);
  if (!schema.anyOf) return [expectedByKeyword(schema) ?? expectedByType(schema)];
  const phrases: string[] = [];
  for (const branch of schema.anyOf) {
    // "an address or a list": of what needs no words.
    const ofTheSame = branch.items && phrases.includes(expectation(branch.items));
    phrases.push(...(ofTheSame ? ['a list'] : alternatives(branch)));
  }
  return phrases;
}

function expectedByType(schema: JsonSchema): string {
  switch (schema.type) {
    case 'integer':
      return `a whole number${range(schema)}`;
    case 'number':
      return `a number${range(schema)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return schema.names ?? 'a string';
    case 'array':
      return schema.items ? `a list, each item ${expectation(schema.items)}` : 'a list';
    case 'object':
      return expectedMapping(schema);
    default:
      throw new Error(`no words for a schema of type ${schema.type}`);
  }
}

function expectedMapping({ properties, required, oneOf: choice }: JsonSchema): string {
  if (!properties) return 'a mapping of names';
  const alternatives = choice && alternativeKeys(choice);
  if (alternatives) return `a mapping with ${oneOf(alternatives)}`;
  const keys = required?.length ? required : Object.keys(properties);
  return `a mapping with ${allOf(keys)}`;
}

function range({ minimum, maximum }: JsonSchema): string {
  if (minimum === undefined) return maximum === undefined ? '' : ` of at most ${maximum}`;
  return maximum === undefined ? ` of at least ${minimum}` : ` from ${minimum} to ${maximum}`;
}

/** Strings without quotes, as they are written in the file. */
function word(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
