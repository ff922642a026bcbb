import { scryptSync, timingSafeEqual } from 'node:crypto';

/** A password as it is kept: `$scrypt$ln=12,r=8,p=1$SALT$HASH`, base64 without padding (PHC string format). */
const FORM = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

/** What scrypt (RFC 7914) is told, and what must come out. */
export interface PasswordHash {
  /** Memory and time: 2^ln blocks. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** @throws RangeError for a text that validation should have refused */
export function readPasswordHash(text: string): PasswordHash {
  const [, ln, r, p, salt, hash] = FORM.exec(text) ?? [];
  if (hash === undefined) throw new RangeError('not a password hash');
  return {
    ln: Number(ln),
    r: Number(r),
    p: Number(p),
    salt: Buffer.from(salt!, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  };
}

/** Whether the password is the one; takes milliseconds, by design. */
export function isPassword(password: Buffer, { ln, r, p, salt, hash }: PasswordHash): boolean {
  const N = 2 ** ln;
  // Node's own limit is 32 MiB; RFC 7914 §2 says what is needed.
  const maxmem = 128 * r * (N + p + 2) * 2;
  return timingSafeEqual(scryptSync(password, salt, hash.length, { N, r, p, maxmem }), hash);
}
