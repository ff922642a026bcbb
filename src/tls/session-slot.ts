import type { OpenSsl } from './openssl.js';

/** The last session of one endpoint, for the next connection to resume. */
export class SessionSlot {
  private session = 0;
  private isReleased = false;

  constructor(private readonly openssl: OpenSsl) {}

  /** Proposes the session to the server. */
  offer(ssl: number): void {
    if (this.session !== 0) this.openssl.SSL_set_session(ssl, this.session);
  }

  /** @returns true when the reference is kept */
  keep(session: number): boolean {
    if (this.isReleased || this.openssl.SSL_SESSION_is_resumable(session) !== 1) return false;
    this.free();
    this.session = session;
    return true;
  }

  release(): void {
    this.isReleased = true;
    this.free();
  }

  private free(): void {
    if (this.session !== 0) this.openssl.SSL_SESSION_free(this.session);
    this.session = 0;
  }
}

/** The sessions of an upstream's endpoints: as many as there is room for, those used last. */
export class SessionCache {
  private readonly slots = new Map<string, SessionSlot>();

  constructor(
    private readonly openssl: OpenSsl,
    private readonly slotsMax: number,
  ) {}

  /** @param endpoint whatever tells one server from another */
  slot(endpoint: string): SessionSlot {
    const slot = this.slots.get(endpoint) ?? new SessionSlot(this.openssl);
    // A Map remembers the order in which keys were put in.
    this.slots.delete(endpoint);
    this.slots.set(endpoint, slot);
    if (this.slots.size > this.slotsMax) {
      const [oldest] = this.slots.keys();
      this.slots.get(oldest!)!.release();
      this.slots.delete(oldest!);
    }
    return slot;
  }

  release(): void {
    for (const slot of this.slots.values()) slot.release();
    this.slots.clear();
  }
}
