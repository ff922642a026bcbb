import { createHmac, randomBytes } from 'node:crypto';
import { HeaderName, type RequestHead } from '../message/index.js';
import { isPassword, type PasswordHash, readPasswordHash } from './password.js';
import { Refusal } from './refusal.js';

export interface BasicAuthSnapshot {
  readonly realm: string;
  readonly users: readonly { readonly name: string; readonly password: string }[];
}

/** Answers that are remembered, right ones and wrong ones. */
const REMEMBERED_MAX = 4096;
/** Passwords that a worker looks at in a row, and how long one more takes to come free. */
const LOOKS_MAX = 8;
const LOOK_MS = 250;

/** Whom nobody is, so that a name that does not exist takes as long as a wrong password. */
const nobody: PasswordHash = { ln: 12, r: 8, p: 1, salt: randomBytes(16), hash: randomBytes(32) };

/** Without it nobody can make credentials whose digests collide. */
const secret = randomBytes(32);

/** One budget for all routes of the worker: looking at passwords must not keep it from serving. */
const looks = { left: LOOKS_MAX, sinceMs: 0 };

/**
 * Basic authentication (RFC 7617). A password is hashed once and the outcome remembered by a keyed digest of
 * what was sent; the usual request costs that digest. Hashing takes milliseconds, in which the worker serves
 * nobody: it does a few a second, whoever guesses how much.
 */
export class BasicAuth {
  /** `WWW-Authenticate` with its line end. */
  readonly challenge: string;
  private readonly users: ReadonlyMap<string, PasswordHash>;
  private readonly remembered = new Map<string, boolean>();

  constructor({ realm, users }: BasicAuthSnapshot) {
    this.challenge = `WWW-Authenticate: Basic realm="${realm.replace(/["\\]/g, '\\$&')}", charset="UTF-8"\r\n`;
    this.users = new Map(users.map(({ name, password }) => [name, readPasswordHash(password)]));
  }

  /** @param nowMs monotonic */
  check(head: RequestHead, nowMs: number): Refusal {
    const index = head.find(HeaderName.authorization);
    if (index < 0) return Refusal.unauthorized;
    // The endpoint might believe the other one.
    if (head.find(HeaderName.authorization, index + 1) >= 0) return Refusal.unauthorized;
    const sent = head.value(index);
    const digest = createHmac('sha256', secret).update(sent, 'latin1').digest('base64');
    let isRight = this.remembered.get(digest);
    if (isRight === undefined) {
      const credentials = readCredentials(sent);
      if (credentials === undefined) return Refusal.unauthorized;
      if (!mayLook(nowMs)) return Refusal.authentication_busy;
      const user = this.users.get(credentials.name);
      isRight = isPassword(credentials.password, user ?? nobody) && user !== undefined;
      if (this.remembered.size >= REMEMBERED_MAX) this.forgetOldest();
      this.remembered.set(digest, isRight);
    }
    return isRight ? Refusal.none : Refusal.unauthorized;
  }

  /** The name in a request, a character per byte; nothing where there is none. */
  userOf(head: RequestHead): string | undefined {
    const index = head.find(HeaderName.authorization);
    const name = index < 0 ? undefined : readCredentials(head.value(index))?.name;
    return name && Buffer.from(name, 'utf8').toString('latin1');
  }

  private forgetOldest(): void {
    const [oldest] = this.remembered.keys();
    this.remembered.delete(oldest!);
  }
}

function readCredentials(value: string): { name: string; password: Buffer } | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(value)?.[1];
  if (encoded === undefined) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  const colon = bytes.indexOf(0x3a);
  // Control characters are in neither (RFC 7617 §2); to PBKDF2, NULs at the end of a password are nothing.
  if (colon < 0 || bytes.some((byte) => byte < 0x20 || byte === 0x7f)) return undefined;
  return { name: bytes.toString('utf8', 0, colon), password: bytes.subarray(colon + 1) };
}

/** A token bucket. */
function mayLook(nowMs: number): boolean {
  const earned = Math.floor((nowMs - looks.sinceMs) / LOOK_MS);
  if (earned > 0) {
    looks.left = Math.min(LOOKS_MAX, looks.left + earned);
    looks.sinceMs += earned * LOOK_MS;
  }
  if (looks.left === 0) return false;
  looks.left--;
  return true;
}
