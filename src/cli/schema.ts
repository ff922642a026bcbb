import { configSchema } from '../config/index.js';
import { parseOptions, UsageError } from './options.js';

const usage = `headgate schema

Prints the JSON Schema (draft 2020-12) of the configuration, for editors and other tools.
`;

export async function schema(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, { help: { type: 'boolean', short: 'h' } });
  if (positionals.length > 0) throw new UsageError(`unexpected "${positionals[0]}"`);
  process.stdout.write(values.help ? usage : `${JSON.stringify(configSchema, null, 2)}\n`);
  return 0;
}
