import {
  type Config,
  loadConfig,
  type Problem,
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
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-self-signed': { type: 'string' },
  'upstream-tls': { type: 'boolean', default: false },
  'upstream-ca': { type: 'string' },
  'upstream-name': { type: 'string' },
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
      --tls-cert F            terminate TLS at LISTEN with this certificate (PEM, chain included)
      --tls-key F             and this key
      --tls-self-signed NAME  or with a certificate made for development
      --upstream-tls          speak TLS to UPSTREAM, and verify its certificate
      --upstream-ca F         trust these authorities (those of the system)
      --upstream-name NAME    whom to expect there (the host of UPSTREAM)
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
  readonly 'tls-cert'?: string | undefined;
  readonly 'tls-key'?: string | undefined;
  readonly 'tls-self-signed'?: string | undefined;
  readonly 'upstream-tls': boolean;
  readonly 'upstream-ca'?: string | undefined;
  readonly 'upstream-name'?: string | undefined;
  readonly 'access-log': boolean;
  readonly 'log-level': string;
}

/** What keys of a configuration are called on the command line. */
const optionNames: readonly (readonly [key: RegExp, option: string])[] = [
  [/^timeouts\.(connect|idle|drain)\b/, '--$1-timeout'],
  [/^limits\.connections\b/, '--max-connections'],
  [/^log\.level\b/, '--log-level'],
  [/^listeners\.\w+\.tls\.certificates\[0\]\.(cert|key)\b/, '--tls-$1'],
  [/^listeners\.\w+\.tls\.self_signed\[0\]/, '--tls-self-signed'],
  [/^upstreams\.\w+\.send_proxy_protocol\b/, '--proxy-protocol'],
  [/^upstreams\.\w+\.tls\.ca\b/, '--upstream-ca'],
  [/^upstreams\.\w+\.tls\.server_name\b/, '--upstream-name'],
];

/** What is wrong, in the words of the command line. */
function asOption({ message }: Problem): string {
  return optionNames.reduce((text, [key, option]) => text.replace(key, option), message);
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
    throw new UsageError('expected LISTEN and UPSTREAM');
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
      limits: { connections: wholeNumber(values['max-connections']) },
      listeners: {
        [kind]: { bind: listen, tls: listenerTls(values), [kind]: { upstream: kind } },
      },
      upstreams: {
        [kind]: {
          endpoints: [upstream],
          send_proxy_protocol: values['proxy-protocol'],
          tls: upstreamTls(values),
        },
      },
    }),
    { file: 'command line' },
  );
  if (loaded.ok) return loaded.config;
  throw new UsageError(loaded.problems.map(asOption).join('; '));
}

/** A number, or the text that is none, which the schema will refuse. */
function wholeNumber(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}

/** @throws UsageError where half of it is said */
function listenerTls(values: ForwardValues): object | undefined {
  const { 'tls-cert': cert, 'tls-key': key, 'tls-self-signed': name } = values;
  if (name !== undefined && (cert ?? key) !== undefined) {
    throw new UsageError('expected either --tls-self-signed or --tls-cert and --tls-key');
  }
  if (name !== undefined) return { self_signed: [name] };
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError(`expected --tls-${cert === undefined ? 'cert' : 'key'} as well`);
  }
  return cert === undefined ? undefined : { certificates: [{ cert, key }] };
}

/** @throws UsageError where TLS is described and not asked for */
function upstreamTls(values: ForwardValues): object | undefined {
  const { 'upstream-tls': isWanted, 'upstream-ca': ca, 'upstream-name': name } = values;
  if (isWanted) return { ca, server_name: name };
  if ((ca ?? name) !== undefined) throw new UsageError('expected --upstream-tls as well');
  return undefined;
}
