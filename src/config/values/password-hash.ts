import { accepted, type Parsed, refused } from './parsed.js';

/** What a message calls these values. */
export const PASSWORD_HASH = 'a password hash, as "headgate password" makes it';

/** More would keep a worker busy for too long, fewer would be no obstacle. */
const LN = { from: 10, to: 15 };
const FORM = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

/** Reads `$scrypt$ln=12,r=8,p=1$SALT$HASH`: base64 without padding. What is refused is not repeated. */
export function parsePasswordHash(text: string): Parsed<string> {
  const [, ln, r, p] = FORM.exec(text) ?? [];
  if (p === undefined) return refused(`expected ${PASSWORD_HASH}`);
  if (Number(ln) < LN.from || Number(ln) > LN.to) {
    return refused(`ln=${ln} is out of range, expected ${LN.from} to ${LN.to}`);
  }
  if (Number(r) !== 8 || Number(p) !== 1) return refused(`r=${r},p=${p}, expected r=8,p=1`);
  return accepted(text);
}
