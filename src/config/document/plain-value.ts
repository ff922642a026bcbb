/** Whether a value of which nothing is known yet has keys. */
export function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is under a key of a value of which nothing is known yet; `undefined` where it has none, or is no mapping. */
export function property(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return value[name as keyof typeof value];
}

/** Keys and values, or positions and items, of a value of which nothing is known yet. */
export function entries(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
