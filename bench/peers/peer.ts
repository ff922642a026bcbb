// What a benchmark asks of a proxy. One module beside this one implements it for each.
import type { Certificate } from '../load/certificate.js';
import type { Child } from '../process.js';

/** Forward one loopback port to another. */
export interface Forward {
  listenPort: number;
  upstreamPort: number;
  /** TCP only: more listeners of the same process, each the upstream of the one before; the last has the upstream itself. */
  innerPorts?: readonly number[];
  /** An existing directory for configuration files, removed after the run. */
  directory: string;
  /** Processors for the whole peer, as a `taskset -c` list. */
  cpus: string | undefined;
  /** Terminate TLS; without it, listen in the clear. */
  tls?: Termination | undefined;
}

/** A listener and where it forwards to. */
export interface Hop {
  name: string;
  listenPort: number;
  upstreamPort: number;
}

/** What a forwarder is told to listen on: one port unless there are inner ones. */
export function hopsOf({ listenPort, innerPorts = [], upstreamPort }: Forward): Hop[] {
  const ports = [listenPort, ...innerPorts];
  return ports.map((port, index) => ({
    name: `hop${index}`,
    listenPort: port,
    upstreamPort: ports[index + 1] ?? upstreamPort,
  }));
}

/** TLS as every peer is told to speak it. */
export interface Termination extends Certificate {
  /** Records are to be the kernel's. */
  kernel: boolean;
}

/** One cipher and one curve, the same for all: which a peer would prefer is not what is compared. */
export const tlsTerms = {
  ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256',
  ciphersuites: 'TLS_AES_128_GCM_SHA256',
  curves: 'X25519',
} as const;

/** Whether a peer can run here: its version, or what is missing. */
export type Availability =
  | { available: true; version: string }
  | { available: false; reason: string };

/** The same for HTTP. */
export interface HttpForward extends Forward {
  /**
   * Number of routes, by the beginning of the path: `/service-0/` to `/service-N/`, all to the upstream. 0: one
   * route for everything.
   */
  routes: number;
  /** A line for every request; without it, none. */
  accessLog?: AccessLog | undefined;
}

export interface AccessLog {
  file: string;
  /** `json`: what Headgate says of a request, as far as the peer knows it. */
  format: 'combined' | 'json';
}

/** Serve the files of a directory. */
export interface FileServing extends Omit<Forward, 'upstreamPort'> {
  root: string;
}

export interface Peer {
  readonly name: string;
  availability(): Promise<Availability>;
  /** Starts the peer as a TCP forwarder. It accepts on `listenPort` when this returns; throws when it cannot. */
  startTcp?(forward: Forward): Promise<Child>;
  /** Starts the peer as a reverse proxy for HTTP that keeps connections to the upstream. */
  startHttp?(forward: HttpForward): Promise<Child>;
  /** Starts the peer as a web server for files. */
  startFiles?(serving: FileServing): Promise<Child>;
}

/** How long a peer may take until it accepts. */
export const startTimeoutMs = 20_000;
