const MASK = '***';
/** Keys of the configuration whose values nobody needs to read. */
const SECRETS: ReadonlySet<string> = new Set(['token', 'password', 'secret', 'privateKey']);
/** Names of headers, and of what is in a query, whose values show who somebody is. */
const CREDENTIAL = /auth|cookie|token|secret|passw|credential|api-?_?key/i;

/** A copy of a plain value in which every secret that is set is hidden. */
export function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== 'object' || value === null) return value;
  const { name } = value as { name?: unknown };
  const isCredential = typeof name === 'string' && CREDENTIAL.test(name);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const isSecret = SECRETS.has(key) || (isCredential && key === 'value');
      return [key, isSecret && inner !== null ? MASK : masked(inner)];
    }),
  );
}
