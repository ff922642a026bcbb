/**
 * All keys of a configuration file: what may stand there, its default, and what the reference documentation says of
 * it. `schema.ts` is the whole file, and its neighbours the parts of it; a new key begins here.
 * A running program reads what was published of it (`published-schema.ts`) and takes types alone from the rest.
 */
export { configSchema, upstreamSchema } from './published-schema.js';
export type { ConfigFile } from './schema.js';
