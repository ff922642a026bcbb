import type { Logger } from 'pino';
import type { Config } from '../../config/index.js';
import type { ServerTlsSettings } from '../../tls/index.js';
import { ExpiryWatch } from './expiry-watch.js';
import { type Refreshed, ServerCredentials } from './server-credentials.js';
import { upstreamValidities } from './upstream-validity.js';
import type { Validity } from './validity.js';

const REFRESH_MS = 60_000;

export interface CredentialsOptions {
  readonly logger: Logger;
  /** {@link Credentials.settings} are others: workers should be told. */
  readonly onChange: () => void;
}

/** Made for a configuration, and not yet in force. */
export interface PreparedCredentials {
  /** Of every listener that terminates TLS, by its name. */
  readonly listeners: ReadonlyMap<string, ServerCredentials>;
  /** Of what is shown to upstreams, which changes with a reload only. */
  readonly upstreams: readonly Validity[];
}

/**
 * What listeners terminate TLS with: certificates and keys from the configuration, and what changes
 * while that does not. Every minute files are looked at again, and ticket keys that are due are made.
 *
 * ```
 *   prepare ──▶ adopt ──every minute: refresh──▶ onChange
 *      ▲          │
 *      └──reload──┘
 * ```
 */
export class Credentials {
  private current: PreparedCredentials = { listeners: new Map(), upstreams: [] };
  private readonly expiryWatch: ExpiryWatch;
  private readonly timer: NodeJS.Timeout;
  /** By file: the complaint about it that was logged last. */
  private readonly complaints = new Map<string, string>();

  constructor(private readonly options: CredentialsOptions) {
    this.expiryWatch = new ExpiryWatch(options.logger);
    this.timer = setInterval(() => this.refresh(), REFRESH_MS);
    this.timer.unref();
  }

  /**
   * Makes what a configuration needs; nothing has changed yet.
   *
   * @throws Error with one line when a file is not what it was when the configuration was read
   */
  prepare({ listeners, upstreams }: Config, nowMs = Date.now()): PreparedCredentials {
    const next = new Map<string, ServerCredentials>();
    for (const { name, tls } of listeners) {
      if (tls === null) continue;
      const earlier = this.current.listeners.get(name);
      next.set(name, new ServerCredentials(name, tls, nowMs, earlier));
    }
    return { listeners: next, upstreams: upstreamValidities(upstreams) };
  }

  /** From here on they are in force; the log hears of what ends soon. */
  adopt(prepared: PreparedCredentials, nowMs = Date.now()): void {
    this.current = prepared;
    this.complaints.clear();
    this.expiryWatch.look(this.validities, nowMs);
  }

  /** By listener. */
  get settings(): ReadonlyMap<string, ServerTlsSettings> {
    return new Map([...this.current.listeners].map(([name, { settings }]) => [name, settings]));
  }

  /** How long everything holds that is in force. */
  get validities(): Validity[] {
    const { listeners, upstreams } = this.current;
    return [...[...listeners.values()].flatMap(({ validities }) => validities), ...upstreams];
  }

  /** Looks at files and clocks again. */
  refresh(nowMs = Date.now()): void {
    let isChanged = false;
    for (const [listener, credentials] of this.current.listeners) {
      const before = credentials.settings;
      for (const one of credentials.refresh(nowMs)) this.tell(listener, one);
      isChanged ||= credentials.settings !== before;
    }
    this.expiryWatch.look(this.validities, nowMs);
    if (isChanged) this.options.onChange();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** A complaint is told once, as long as it is the same. */
  private tell(listener: string, { file, outcome }: Refreshed): void {
    const { logger } = this.options;
    if (outcome.ok) {
      this.complaints.delete(file);
      if (outcome.value) logger.info({ listener, file }, 'tls: a file has changed and was read');
      return;
    }
    const { reason } = outcome;
    if (this.complaints.get(file) === reason) return;
    this.complaints.set(file, reason);
    logger.warn({ listener, file, reason }, 'tls: a file stays as it was read before');
  }
}
