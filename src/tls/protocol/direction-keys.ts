import type { CipherSuite } from './cipher-suites.js';
import { nextSecret, type TrafficKey, tls13Key } from './traffic-keys.js';

/** The secret that one direction's next keys follow from, and what may be done with the present one. */
export class DirectionKeys {
  /** Records that may still be protected by the present key. */
  recordsLeft: number;
  private secret: Buffer | undefined;

  /**
   * @param secret of TLS 1.3, where the kernel can change keys; this object overwrites it. Absent:
   *   the first key is the last.
   */
  constructor(
    private readonly suite: CipherSuite,
    secret?: Buffer,
  ) {
    this.secret = secret;
    this.recordsLeft = suite.cipher.recordsMax;
  }

  /** True while there can be another key. */
  get canAdvance(): boolean {
    return this.secret !== undefined;
  }

  /** The next key (RFC 8446 §7.2), or `undefined` where there can be none. */
  advance(): TrafficKey | undefined {
    if (this.secret === undefined) return undefined;
    const next = nextSecret(this.suite, this.secret);
    this.secret.fill(0);
    this.secret = next;
    this.recordsLeft = this.suite.cipher.recordsMax;
    return tls13Key(this.suite, next);
  }

  /** Overwrites the secret. */
  forget(): void {
    this.secret?.fill(0);
    this.secret = undefined;
  }
}
