import { type Config, loadConfig, readConfig } from '../config/index.js';
import { type Check, captureChecks, diagnose, tlsChecks } from '../control/index.js';
import { parseOptions, UsageError } from './options.js';

const usage = `headgate doctor [-c FILE] [--json]

Tries what Headgate would use of this machine and says what there is. Exit code 1 when something is
missing that it cannot do without.

  -c, --config FILE   compare limits with this configuration instead of the defaults, and look at
                      the directories it captures to and at how long its certificates hold
      --json          for other programs
`;

const marks: Record<Check['state'], string> = {
  ok: 'ok',
  absent: '-',
  low: 'LOW',
  missing: 'MISSING',
};

export async function doctor(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: 'string', short: 'c' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (positionals.length > 0) throw new UsageError(`unexpected "${positionals[0]}"`);
  const config = configOf(values.config);
  const checks = [
    ...diagnose(config.limits.connectionsMax),
    ...captureChecks(config),
    ...tlsChecks(config),
  ];
  const isWell = checks.every(({ state }) => state !== 'missing');
  const time = new Date().toISOString();
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ ok: isWell, time, checks }, null, 2)}\n`
      : asText(checks, time),
  );
  return isWell ? 0 : 1;
}

/** @throws UsageError when the file is not valid: `headgate check` says why */
function configOf(path: string | undefined): Config {
  const loaded =
    path === undefined
      ? loadConfig(
          '{ listeners: { a: { bind: "unix:@a", tcp: { upstream: b } } }, upstreams: { b: { demo: true } } }',
        )
      : readConfig(path);
  if (!loaded.ok) throw new UsageError(`${path} is not valid; headgate check -c ${path} says why`);
  return loaded.config;
}

function asText(checks: readonly Check[], time: string): string {
  const nameWidth = Math.max(...checks.map(({ name }) => name.length));
  const markWidth = Math.max(...checks.map(({ state }) => marks[state].length));
  const lines = checks.map(({ name, state, detail }) =>
    `${name.padEnd(nameWidth)}  ${marks[state].padEnd(markWidth)}  ${detail}`.trimEnd(),
  );
  return `${[...lines, `${'time'.padEnd(nameWidth)}  ${'ok'.padEnd(markWidth)}  ${time}`].join('\n')}\n`;
}
