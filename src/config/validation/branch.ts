import type { ErrorObject } from 'ajv';
import type { JsonSchema } from './expectation.js';

/**
 * ajv reports a union (`anyOf`, `oneOf`) that nothing matched as the errors of every branch, and the
 * union's own error. This leaves the errors of the one branch that was meant: for a list or a mapping
 * the branch of that type that knows most of its keys, for a scalar one with a reason of its own (an
 * address, a duration). Where no branch was meant, the union's own error stays: it names all of them.
 */
export function withoutOtherBranches(errors: readonly ErrorObject[]): ErrorObject[] {
  return errors
    .filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf')
    .reduce<ErrorObject[]>(settleUnion, [...errors]);
}

/** For a union of nothing but required keys ("exactly one of"), those keys; else null. */
export function alternativeKeys(union: readonly JsonSchema[]): string[] | null {
  const keys = union.map((branch) =>
    Object.keys(branch).length === 1 && branch.required?.length === 1 ? branch.required[0]! : null,
  );
  return keys.includes(null) ? null : (keys as string[]);
}

function settleUnion(errors: ErrorObject[], union: ErrorObject): ErrorObject[] {
  const branches = union.schema as JsonSchema[];
  const inside = (error: ErrorObject, branch: number | null = null) =>
    error.schemaPath.startsWith(`${union.schemaPath}/${branch === null ? '' : `${branch}/`}`) &&
    `${error.instancePath}/`.startsWith(`${union.instancePath}/`);
  const meant = alternativeKeys(branches) ? null : meantBranch(branches, union, errors, inside);
  return errors.filter((error) =>
    meant === null ? !inside(error) : error !== union && (!inside(error) || inside(error, meant)),
  );
}

function meantBranch(
  branches: readonly JsonSchema[],
  { data }: ErrorObject,
  errors: readonly ErrorObject[],
  inside: (error: ErrorObject, branch: number) => boolean,
): number | null {
  if (typeof data === 'object') return likeliestBranch(branches, data);
  const meant = branches.findIndex(
    (branch, index) =>
      admits(branch, data) &&
      errors.some((error) => inside(error, index) && error.params.reason !== undefined),
  );
  return meant < 0 ? null : meant;
}

/** The branch of the value's type that knows most of its keys, or null when none is of its type. */
export function likeliestBranch(branches: readonly JsonSchema[], data: unknown): number | null {
  const candidates = branches.flatMap((branch, index) => (admits(branch, data) ? [index] : []));
  const scores = candidates.map((index) => likeness(branches[index]!, data));
  return candidates[scores.indexOf(Math.max(...scores))] ?? null;
}

/** Whether the value's type is one of the branch's, or of the branches in it. */
function admits(branch: JsonSchema, data: unknown): boolean {
  if (branch.anyOf) return branch.anyOf.some((inner) => admits(inner, data));
  const type = Array.isArray(data) ? 'array' : data === null ? 'null' : typeof data;
  const types = [branch.type].flat();
  return types.includes(type) || (type === 'number' && types.includes('integer'));
}

/** How much a mapping looks like the branch: a key with the right constant settles it. */
function likeness({ properties = {}, required = [] }: JsonSchema, data: unknown): number {
  if (typeof data !== 'object' || data === null) return 0;
  return Object.entries(data).reduce((score, [key, value]) => {
    if (!Object.hasOwn(properties, key)) return score;
    const constant = properties[key]!.const;
    if (constant !== undefined) return score + (constant === value ? 100 : -100);
    return score + (required.includes(key) ? 2 : 1);
  }, 0);
}
