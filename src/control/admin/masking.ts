const MASK = '***';
/** Keys of the configuration whose values nobody needs to read. */
const SECRETS: ReadonlySet<string> = new Set(['token', 'password', 'secret', 'privateKey']);

/** A copy of a plain value in which every secret that is set is hidden. */
export function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      SECRETS.has(key) && inner !== null ? MASK : masked(inner),
    ]),
  );
}
