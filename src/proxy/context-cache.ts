import {
  ClientContext,
  type ClientTlsSettings,
  ServerContexts,
  type ServerTlsSettings,
} from '../tls/index.js';

/**
 * The TLS contexts of one worker, by the settings they were made from. Listeners of equal settings
 * share theirs, and a reload or a change of endpoints that leaves the settings alone keeps them, with
 * the sessions that upstreams can resume.
 */
export class ContextCache {
  private servers = new Map<unknown, ServerContexts>();
  private clients = new Map<unknown, ClientContext>();
  private staleServers = new Map<unknown, ServerContexts>();
  private staleClients = new Map<unknown, ClientContext>();

  /** @param offersKernel the kernel has TLS: connections may go on there */
  constructor(private readonly offersKernel: boolean) {}

  /** What is not asked for until {@link sweep} is out of use. */
  renew(): void {
    this.staleServers = this.servers;
    this.staleClients = this.clients;
    this.servers = new Map();
    this.clients = new Map();
  }

  /** Lets go of what was not asked for; connections that were made with it go on. */
  sweep(): void {
    for (const [key, one] of this.staleServers) if (!this.servers.has(key)) one.release();
    for (const [key, one] of this.staleClients) if (!this.clients.has(key)) one.release();
    this.staleServers = new Map();
    this.staleClients = new Map();
  }

  /** @throws TlsError saying which setting OpenSSL refuses */
  server(settings: ServerTlsSettings): ServerContexts {
    const key = settings.fingerprint ?? settings;
    const known = this.servers.get(key) ?? this.staleServers.get(key);
    const contexts = known ?? new ServerContexts(settings, { kernel: this.usesKernel(settings) });
    this.servers.set(key, contexts);
    return contexts;
  }

  /** @throws TlsError saying which setting OpenSSL refuses */
  client(settings: ClientTlsSettings): ClientContext {
    const key = settings.fingerprint ?? settings;
    const known = this.clients.get(key) ?? this.staleClients.get(key);
    const context = known ?? new ClientContext(settings, { kernel: this.usesKernel(settings) });
    this.clients.set(key, context);
    return context;
  }

  private usesKernel({ kernel }: ServerTlsSettings | ClientTlsSettings): boolean {
    return kernel === 'require' || (kernel === 'auto' && this.offersKernel);
  }
}
