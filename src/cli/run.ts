import { formatProblem, type Loaded, readConfig } from '../config/index.js';
import type { Supervisor } from '../control/index.js';
import { parseOptions, UsageError } from './options.js';
import { serve } from './serve.js';
import { parseWorkers } from './workers.js';

const usage = `headgate run [-c FILE] [--workers N]

  -c, --config FILE   the configuration (headgate.yaml)
      --workers N     data threads, instead of what the file says; "auto": one per core

SIGTERM or SIGINT drains: nothing new is accepted and flows may end; a second one ends at once.
SIGHUP reads the configuration again: established connections go on, an invalid file changes nothing.
SIGUSR1 opens the file of access lines anew.
`;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: 'string', short: 'c', default: 'headgate.yaml' },
    workers: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (positionals.length > 0) throw new UsageError(`unexpected "${positionals[0]}"`);
  const workers = values.workers === undefined ? undefined : parseWorkers(values.workers);
  const source = (): Loaded => {
    const loaded = readConfig(values.config);
    if (loaded.ok && workers !== undefined) loaded.config.workers = workers;
    return loaded;
  };
  const loaded = source();
  if (!loaded.ok) {
    for (const problem of loaded.problems) process.stderr.write(`${formatProblem(problem)}\n`);
    return 1;
  }
  const { config } = loaded;
  const isDemo = config.upstreams.some(({ demo }) => demo);
  return serve(config, source, (supervisor) => {
    if (isDemo) suggest(supervisor);
  });
}

/** Says what there is to see, where a demo upstream waits to be asked. */
function suggest({ addresses }: Supervisor): void {
  const reachable = addresses.filter(({ address }) => !address.startsWith('unix:'));
  const first = reachable.find(({ isSecure }) => !isSecure);
  const secure = reachable.find(({ isSecure }) => isSecure);
  const proposals = [
    ...(first === undefined
      ? []
      : [
          `curl http://${first.address}/`,
          `curl -o /dev/null http://${first.address}/bytes/10000000000`,
        ]),
    ...(secure === undefined ? [] : [`curl -k https://${secure.address}/`]),
  ];
  if (proposals.length > 0) process.stdout.write(`try: ${proposals.join(' , or ')}\n`);
}
