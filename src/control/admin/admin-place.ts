import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { AdminConfig } from '../../config/index.js';
import type { Kernel } from '../../splice/index.js';
import type { Claim } from '../listening/index.js';
import { AdminEndpoint } from './admin-endpoint.js';
import type { AdminTarget } from './target.js';

/** What a configuration asks for, bound and not yet in use. */
export interface AdminChange {
  readonly config: AdminConfig | null;
  /** The one there is, if its address stays. */
  readonly endpoint: AdminEndpoint | undefined;
}

/**
 * The admin endpoint across reloads. Another one is bound before the old one goes, and the old one
 * answers what it was asked: the request to reload is mostly one of these.
 */
export class AdminPlace {
  private current: AdminEndpoint | undefined;
  private config: AdminConfig | null = null;
  /** Who may still be answering. */
  private readonly retired = new Set<AdminEndpoint>();
  private serving: { target: AdminTarget; logger: Logger } | undefined;

  constructor(private readonly kernel: Kernel) {}

  /** `http://127.0.0.1:9901/` or `unix:/path`; `undefined` without an endpoint. */
  get text(): string | undefined {
    return this.current?.text;
  }

  get claims(): readonly Claim[] {
    return this.current === undefined ? [] : [this.current.claim];
  }

  /**
   * Binds what is not bound yet.
   *
   * @param claims of listeners
   * @throws as {@link AdminEndpoint.bind}; nothing has changed then
   */
  async prepare(config: AdminConfig | null, claims: readonly Claim[] = []): Promise<AdminChange> {
    if (config === null) return { config, endpoint: undefined };
    if (this.current?.isAt(config)) return { config, endpoint: this.current };
    const all = [...claims, ...this.claims];
    return { config, endpoint: await AdminEndpoint.bind(this.kernel, config, all) };
  }

  /**
   * Puts it in the place of the one there is.
   * @returns what is different, for people
   */
  async adopt({ config, endpoint }: AdminChange): Promise<string[]> {
    const { current } = this;
    const isSame = isDeepStrictEqual(config, this.config);
    this.current = endpoint;
    this.config = config;
    if (endpoint === current) {
      if (isSame) return [];
      endpoint!.protect(config!);
      return ['admin: changed'];
    }
    if (this.serving !== undefined) {
      await endpoint?.serve(this.serving.target, this.serving.logger);
    }
    if (current !== undefined) {
      this.retired.add(current);
      current.retire(() => this.retired.delete(current));
    }
    return [endpoint === undefined ? 'admin: removed' : `admin: now at ${endpoint.text}`];
  }

  /** Undoes what was done for a change that is not made. */
  abandon({ endpoint }: AdminChange): void {
    if (endpoint !== this.current) endpoint?.close();
  }

  /** Answers requests from now on, wherever it is. */
  async serve(target: AdminTarget, logger: Logger): Promise<void> {
    this.serving = { target, logger };
    await this.current?.serve(target, logger);
  }

  close(): void {
    this.current?.close();
    for (const one of this.retired) one.close();
  }
}
