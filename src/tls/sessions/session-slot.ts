import type { OpenSsl } from '../openssl/index.js';
import { TlsVersion } from '../protocol/index.js';

/** Sessions kept of one endpoint. A server of TLS 1.3 gives two tickets at a time, mostly. */
const SESSIONS_MAX = 4;

/**
 * The last sessions of one endpoint, for the next connections to resume. One of TLS 1.3 is for one
 * connection (RFC 8446 §C.4), and OpenSSL sees to that; one of TLS 1.2 for any number.
 */
export class SessionSlot {
  /** Sessions that were put aside so far. */
  keptTotal = 0;
  private readonly sessions: number[] = [];
  private isReleased = false;

  constructor(private readonly openssl: OpenSsl) {}

  /** Proposes a session to the server, if there is one. */
  offer(ssl: number): void {
    const { openssl, sessions } = this;
    while (sessions.length > 0) {
      const newest = sessions.at(-1)!;
      const isResumable = openssl.SSL_SESSION_is_resumable(newest) === 1;
      if (isResumable) openssl.SSL_set_session(ssl, newest);
      const version = openssl.SSL_SESSION_get_protocol_version(newest);
      if (!isResumable || version === TlsVersion.Tls13) {
        sessions.pop();
        openssl.SSL_SESSION_free(newest);
      }
      if (isResumable) return;
    }
  }

  /** @returns true when the reference is kept */
  keep(session: number): boolean {
    const { openssl, sessions } = this;
    if (this.isReleased || openssl.SSL_SESSION_is_resumable(session) !== 1) return false;
    if (sessions.length === SESSIONS_MAX) openssl.SSL_SESSION_free(sessions.shift()!);
    sessions.push(session);
    this.keptTotal++;
    return true;
  }

  release(): void {
    this.isReleased = true;
    for (const session of this.sessions) this.openssl.SSL_SESSION_free(session);
    this.sessions.length = 0;
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
