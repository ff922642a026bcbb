import { formatProblem, readConfig } from '../config/index.js';
import { accountChecks, captureChecks, tlsChecks } from '../control/index.js';
import { parseOptions, UsageError } from './options.js';

const usage = `headgate check -c FILE

Validates a configuration and prints every problem as FILE:LINE:COLUMN: what is wrong, what was
expected. Exit code 0 when there is none, 1 otherwise. Warns of users and groups that this machine does not
have, directories that cannot be captured to, of certificates that no client is ever shown, and of
certificates, OCSP responses and revocation lists that have ended, or end soon.
`;

export async function check(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: 'string', short: 'c', default: 'headgate.yaml' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (positionals.length > 0) throw new UsageError(`unexpected "${positionals[0]}"`);
  const loaded = readConfig(values.config);
  if (loaded.ok) {
    process.stdout.write(`${values.config}: ok\n`);
    const { config } = loaded;
    const checks = [accountChecks, captureChecks, tlsChecks].flatMap((find) => find(config));
    for (const { name, state, detail } of checks) {
      if (state !== 'ok') process.stderr.write(`${values.config}: warning: ${name}: ${detail}\n`);
    }
    return 0;
  }
  for (const problem of loaded.problems) process.stderr.write(`${formatProblem(problem)}\n`);
  return 1;
}
