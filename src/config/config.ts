import { parseListenAddress } from './address.js';
import { valid } from './parsed.js';
import { parseDuration, parseSize } from './quantity.js';
import type { ConfigFile } from './schema.js';
import { toUpstream } from './upstream-config.js';

/**
 * The configuration as the program uses it: complete, numbers in one unit, addresses parsed. Nothing but
 * plain data, because workers get it by structured clone.
 */
export type Config = ReturnType<typeof toConfig>;
export type ListenerConfig = Config['listeners'][number];
export type UpstreamConfig = Config['upstreams'][number];
export type AdminConfig = NonNullable<Config['admin']>;

/** Turns a file that was found valid, defaults filled in, into the configuration. */
export function toConfig(file: ConfigFile) {
  const { timeouts, limits } = file;
  return {
    workers: file.workers,
    pinWorkers: file.pin_workers,
    log: file.log,
    admin: file.admin === undefined ? null : toAdmin(file.admin),
    timeouts: {
      connectMs: valid(parseDuration(timeouts.connect)),
      idleMs: valid(parseDuration(timeouts.idle)),
      drainMs: valid(parseDuration(timeouts.drain)),
    },
    limits: {
      connectionsMax: limits.connections,
      pipeMemoryBytes: valid(parseSize(String(limits.pipe_memory))),
    },
    listeners: Object.entries(file.listeners).map(([name, listener]) => ({
      name,
      bind: [listener.bind].flat().map((text) => valid(parseListenAddress(text))),
      backlog: listener.backlog,
      tcp: listener.tcp,
    })),
    upstreams: Object.entries(file.upstreams).map(([name, one]) => toUpstream(name, one)),
  };
}

function toAdmin({ bind, token, hosts }: NonNullable<ConfigFile['admin']>) {
  return {
    bind: valid(parseListenAddress(bind)),
    /** What requests have to know; null: who reaches the address may do everything. */
    token: token ?? null,
    /** Names, each with a port or for any, that requests may use besides the address. */
    hosts,
  };
}
