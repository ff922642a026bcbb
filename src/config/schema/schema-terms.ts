import Type, { type TSchema, type TSchemaOptions } from 'typebox';
import type { Bounds, KeywordArguments } from '../validation/index.js';

/** What every key says about itself; the reference documentation is made from it. */
export interface Description extends TSchemaOptions {
  title: string;
  description: string;
  default?: unknown;
  unit?: string;
  examples: unknown[];
}

/** A key with a default may be left out of the file, but is there for whoever reads `ConfigFile`. */
export function optional<Schema extends TSchema>(schema: Schema): Schema {
  return Type.Optional(schema) as unknown as Schema;
}

export function duration(bounds: Bounds, description: Description) {
  return optional(text({ duration: bounds }, { unit: 'ms, s, m, h', ...description }));
}

export function size(bounds: Bounds, description: Description) {
  const type = ['integer', 'string'];
  const unit = 'bytes, KiB, MiB, GiB';
  return optional(Type.Unsafe<string | number>({ type, size: bounds, unit, ...description }));
}

export function address(role: KeywordArguments['address']) {
  return text({ address: role });
}

export function reference(to: string, description: Description) {
  return text({ reference: to }, description);
}

export function text(keyword: Partial<KeywordArguments>, description: Partial<Description> = {}) {
  return Type.String({ ...keyword, ...description });
}

export function integer(
  range: { minimum: number; maximum: number },
  description: Description & { unit: string },
) {
  return optional(Type.Integer({ ...range, ...description }));
}

export function networks(description: Description) {
  return Type.Optional(Type.Array(text({ network: true }), { minItems: 1, ...description }));
}

/** A user or a group. */
export function account(title: string, description: string, example: string) {
  return Type.Optional(
    Type.String({
      pattern: '^([a-zA-Z_][a-zA-Z0-9_.-]{0,31}|[0-9]{1,9})$',
      names: 'a name or a number',
      title,
      description,
      examples: [example],
    } satisfies Description),
  );
}
