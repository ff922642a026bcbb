import {
  type Config,
  formatProblem,
  loadConfig,
  parseEndpointTarget,
  parseListenAddress,
} from '../config/index.js';
import { UsageError } from './options.js';
import { parseWorkers } from './workers.js';

/** Options of all commands that forward one address, as parseArgs wants them. */
export const forwardOptions = {
  workers: { type: 'string', default: 'auto' },
  pin: { type: 'boolean', default: false },
  'connect-timeout': { type: 'string', default: '5s' },
  'idle-timeout': { type: 'string', default: '5m' },
  'drain-timeout': { type: 'string', default: '30s' },
  'max-connections': { type: 'string', default: '20000' },
  'proxy-protocol': { type: 'string' },
  'access-log': { type: 'boolean', default: false },
  'log-level': { type: 'string', default: 'info' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** What `--help` says about them. */
export const forwardHelp = `      --workers N             data threads (auto: one per core)
      --pin                   pin each data thread to a core
      --connect-timeout D     for connecting to UPSTREAM (5s)
      --idle-timeout D        ends a connection in which nothing moves either way (5m)
      --drain-timeout D       for connections to end after SIGTERM (30s)
      --max-connections N     more wait in the kernel until one ends (20000)
      --proxy-protocol V      tell UPSTREAM where clients are: a PROXY header, v1 or v2
      --access-log            log lines for what is over
      --log-level LEVEL       trace, debug, info, warn, error, fatal, silent (info)
`;

interface ForwardValues {
  readonly workers: string;
  readonly pin: boolean;
  readonly 'connect-timeout': string;
  readonly 'idle-timeout': string;
  readonly 'drain-timeout': string;
  readonly 'max-connections': string;
  readonly 'proxy-protocol'?: string | undefined;
  readonly 'access-log': boolean;
  readonly 'log-level': string;
}

/**
 * The configuration that LISTEN, UPSTREAM and options come to. They go through the schema of files: one place
 * knows what is valid.
 *
 * @param kind what is spoken, which is also what listener and upstream are called
 * @throws UsageError saying what is wrong
 */
export function forwardConfig(
  kind: 'tcp' | 'http',
  positionals: readonly string[],
  values: ForwardValues,
): Config {
  const [listen, upstream, ...more] = positionals;
  if (listen === undefined || upstream === undefined || more.length > 0) {
    throw new UsageError(`expected LISTEN and UPSTREAM; headgate ${kind} --help says more`);
  }
  const bind = parseListenAddress(listen);
  if (!bind.ok) throw new UsageError(`LISTEN is "${listen}": ${bind.reason}`);
  const endpoint = parseEndpointTarget(upstream);
  if (!endpoint.ok) throw new UsageError(`UPSTREAM is "${upstream}": ${endpoint.reason}`);
  const loaded = loadConfig(
    JSON.stringify({
      workers: parseWorkers(values.workers),
      pin_workers: values.pin,
      log: { level: values['log-level'], access: values['access-log'] },
      timeouts: {
        connect: values['connect-timeout'],
        idle: values['idle-timeout'],
        drain: values['drain-timeout'],
      },
      limits: { connections: Number(values['max-connections']) },
      listeners: { [kind]: { bind: listen, [kind]: { upstream: kind } } },
      upstreams: {
        [kind]: { endpoints: [upstream], send_proxy_protocol: values['proxy-protocol'] },
      },
    }),
    { file: 'command line' },
  );
  if (loaded.ok) return loaded.config;
  throw new UsageError(loaded.problems.map(formatProblem).join('; '));
}
