import { likeliestBranch } from './branch.js';
import type { JsonSchema } from './expectation.js';

/**
 * The value with every key that was left out and has a default in the schema. The value must be valid.
 * ajv's `useDefaults` stops at unions, TypeBox's at names (`patternProperties`) without one.
 */
export function withDefaults(schema: object, value: unknown): unknown {
  const { anyOf, items, properties = {}, patternProperties = {} } = schema as JsonSchema;
  if (anyOf) {
    const branch = likeliestBranch(anyOf, value);
    return branch === null ? value : withDefaults(anyOf[branch]!, value);
  }
  if (Array.isArray(value)) return items ? value.map((item) => withDefaults(items, item)) : value;
  if (typeof value !== 'object' || value === null) return value;
  const [named] = Object.values(patternProperties);
  const complete: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const known = Object.hasOwn(properties, key) ? properties[key] : named;
    complete[key] = known ? withDefaults(known, inner) : inner;
  }
  for (const [key, known] of Object.entries(properties)) {
    if (Object.hasOwn(value, key) || known.default === undefined) continue;
    complete[key] = withDefaults(known, known.default);
  }
  return complete;
}
