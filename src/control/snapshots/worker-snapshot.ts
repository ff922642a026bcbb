import { availableParallelism } from 'node:os';
import type { Config } from '../../config/index.js';
import type {
  CaptureSnapshot,
  ListenerSnapshot,
  UpstreamSnapshot,
  WorkerSnapshot,
} from '../../proxy/index.js';
import type { ServerTlsSettings } from '../../tls/index.js';
import type { BoundListeners } from '../listening/index.js';
import { localCongestionControl } from '../machine/index.js';
import type { RouteMemory } from '../statistics/index.js';
import type { SharedAdmission } from './admission.js';
import { listenerRoutes } from './listener-routes.js';

/** What is asked of each pipe; docs/benchmarks.md has the measurement. */
const PIPE_BYTES = 1024 * 1024;
/** So much of the limit of open files is not for HTTP's clients: they share the connections to upstreams. */
const UPSTREAM_SHARE = 1 / 4;

/** What all workers are told alike. */
export interface SnapshotParts {
  readonly config: Config;
  readonly workers: number;
  /** The limit of open files of the process. */
  readonly filesMax: number;
  readonly listeners: BoundListeners;
  readonly upstreams: readonly UpstreamSnapshot[];
  readonly endpointTable: SharedArrayBuffer;
  /** Who may connect, by listener. */
  readonly admissions: ReadonlyMap<string, SharedAdmission>;
  readonly routeMemory: RouteMemory;
  /** How TLS is terminated, by listener; nothing where it is not. */
  readonly tls: ReadonlyMap<string, ServerTlsSettings>;
  /** What is captured, by listener; nothing where nothing is. */
  readonly captures: ReadonlyMap<string, CaptureSnapshot>;
}

/** The configuration in force, as one worker is told it. */
export function makeSnapshot(parts: SnapshotParts, worker: number): WorkerSnapshot {
  const { config, workers, listeners, upstreams, endpointTable, admissions, tls } = parts;
  const { timeouts, limits, log } = config;
  const positions = new Map(upstreams.map(({ name }, index) => [name, index]));
  const directory = { positions, configs: config.upstreams, memory: parts.routeMemory, workers };
  return {
    worker,
    core: config.pinWorkers ? worker % availableParallelism() : -1,
    ioUring: config.ioUring,
    listeners: listeners.all.map(
      ({ listener, address, text, fds, isInherited }): ListenerSnapshot => ({
        name: listener.name,
        index: listeners.indexOf(listener.name),
        fd: fds[worker]!,
        address: text,
        family: address.family,
        isShared: isInherited,
        localCongestionControl: localCongestionControl(listener.socket.congestionControl, address),
        transparent: listener.socket.transparent,
        admission: { ...admissions.get(listener.name)!, worker },
        ...listenerRoutes(listener, directory),
        tls: tls.get(listener.name),
        capture: parts.captures.get(listener.name),
      }),
    ),
    upstreams,
    endpointTable,
    timeouts,
    limits: {
      connectionsMax: limits.connectionsMax,
      clientDescriptorsEnd: parts.filesMax * (1 - UPSTREAM_SHARE),
      pipeMemoryBytes: Math.floor(limits.pipeMemoryBytes / workers),
      pipeBytes: PIPE_BYTES,
      headBytes: limits.headBytes,
      headers: limits.headers,
      cachedFiles: Math.ceil(limits.cachedFiles / workers),
    },
    log: {
      level: log.level,
      access: log.access,
      accessFile: log.accessFile?.format,
      notesRequests: config.admin !== null,
    },
  };
}
