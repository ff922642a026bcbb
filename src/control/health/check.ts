import type { Address } from '../../config/index.js';

/** What is checked. */
export interface CheckedEndpoint {
  /** The upstream's name, for log lines and metrics. */
  readonly upstream: string;
  readonly address: Address;
  /** The name that led to the address, if one did: what HTTP and TLS call the endpoint by default. */
  readonly host?: string | undefined;
}

/** How an endpoint is checked: a connection is made; then TLS is spoken, HTTP, or HTTP over TLS, as wanted. */
export interface HealthCheck {
  /** From the beginning of one check to that of the next, at least. */
  readonly intervalMs: number;
  /** The interval while the verdicts and the state disagree, and until there is a state; as `intervalMs` by default. */
  readonly fastIntervalMs?: number | undefined;
  /** For the whole check, from connecting to the last byte that is waited for. */
  readonly timeoutMs: number;
  /** Checks in a row that must pass for an endpoint to be up, from 1. */
  readonly rise: number;
  /** Checks in a row that must fail for an endpoint to be down, from 1. */
  readonly fall: number;
  /** The check begins with a PROXY header of this version, in which Headgate speaks for itself. */
  readonly proxyVersion?: 'v1' | 'v2' | undefined;
  /** The local address of checks of its family; the kernel chooses by default. */
  readonly source?: string | undefined;
  readonly tls?: TlsCheck | undefined;
  readonly http?: HttpCheck | undefined;
}

export interface TlsCheck {
  /** Whether the certificate must be valid, trusted, and for this name. */
  readonly verify: boolean;
  /** The name asked for and expected; the endpoint's by default, for one without a name its IP address. */
  readonly serverName?: string | undefined;
  /** Certificates that are trusted, PEM; those of the system by default. */
  readonly ca?: string | undefined;
  /** What is presented to an endpoint that asks, PEM. */
  readonly certificate?: { readonly chain: string; readonly privateKey: string } | undefined;
  /** `1.2` or `1.3`; Node's own by default, as what follows, which are OpenSSL's lists. */
  readonly minVersion?: '1.2' | '1.3' | undefined;
  readonly maxVersion?: '1.2' | '1.3' | undefined;
  readonly ciphers?: string | undefined;
  readonly ciphersuites?: string | undefined;
  readonly curves?: string | undefined;
  /** Application protocols to offer; without them `http/1.1` for an HTTP check, and none else. */
  readonly alpn?: readonly string[] | undefined;
}

/** A GET request, answered by a status and perhaps by certain words. */
export interface HttpCheck {
  /** Origin form, `/healthz?full=1`. */
  readonly path: string;
  /** The Host header; the endpoint's name or address by default. */
  readonly host?: string | undefined;
  /** `200-399` by default. */
  readonly statuses?: readonly StatusRange[] | undefined;
  /** Must be in the first 64 KiB of the body. */
  readonly body?: string | undefined;
}

/** Both ends belong to it. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

export const defaultStatuses: readonly StatusRange[] = [{ from: 200, to: 399 }];

/** `200, 204-206` */
export function formatStatuses(ranges: readonly StatusRange[]): string {
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}
