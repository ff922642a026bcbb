import {
  formatProblem,
  loadConfig,
  parseEndpointTarget,
  parseListenAddress,
} from '../config/index.js';
import { parseOptions, UsageError } from './options.js';
import { serve } from './serve.js';
import { parseWorkers } from './workers.js';

const usage = `headgate tcp LISTEN UPSTREAM [options]

Forwards every connection to LISTEN on to UPSTREAM. Addresses: 127.0.0.1:5432, [::1]:5432, *:5432
(all, both families), unix:/path, unix:@abstract; port 0 lets the kernel choose. UPSTREAM may be a
name, db.example.com:5432 or srv:_pg._tcp.example.com.

      --workers N             data threads (auto: one per core)
      --pin                   pin each data thread to a core
      --connect-timeout D     for connecting to UPSTREAM (5s)
      --idle-timeout D        ends a flow in which nothing moves either way (5m)
      --drain-timeout D       for flows to end after SIGTERM (30s)
      --max-connections N     more wait in the kernel until one ends (20000)
      --proxy-protocol V      tell UPSTREAM where clients are: a PROXY header, v1 or v2
      --access-log            one log line per finished flow
      --log-level LEVEL       trace, debug, info, warn, error, fatal, silent (info)
`;

export async function tcp(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
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
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const [listen, upstream, ...more] = positionals;
  if (listen === undefined || upstream === undefined || more.length > 0) {
    throw new UsageError('expected LISTEN and UPSTREAM; headgate tcp --help says more');
  }
  const bind = parseListenAddress(listen);
  if (!bind.ok) throw new UsageError(`LISTEN is "${listen}": ${bind.reason}`);
  const endpoint = parseEndpointTarget(upstream);
  if (!endpoint.ok) throw new UsageError(`UPSTREAM is "${upstream}": ${endpoint.reason}`);
  // The options go through the configuration's own schema: one place knows what is valid.
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
      listeners: { tcp: { bind: listen, tcp: { upstream: 'tcp' } } },
      upstreams: {
        tcp: { endpoints: [upstream], send_proxy_protocol: values['proxy-protocol'] },
      },
    }),
    { file: 'command line' },
  );
  if (loaded.ok) return serve(loaded.config);
  throw new UsageError(loaded.problems.map(formatProblem).join('; '));
}
