import { readFileSync } from 'node:fs';
import type { JsonSchema } from '../validation/index.js';

/**
 * The JSON Schema of a configuration file (draft 2020-12), as published in config/schema.json.
 *
 * Read from there instead of made anew by schema.ts: loading typebox opens more than a hundred files
 * at once and takes as long as everything else at start. A test holds the two together.
 */
export const configSchema: JsonSchema = JSON.parse(
  readFileSync(new URL('../../../config/schema.json', import.meta.url), 'utf8'),
);

/** What an upstream may say, whatever its name. */
export const upstreamSchema: JsonSchema = Object.values(
  configSchema.properties!.upstreams!.patternProperties!,
)[0]!;
