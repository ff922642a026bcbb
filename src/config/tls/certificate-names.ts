import type { X509Certificate } from 'node:crypto';
import { parseServerName } from '../values/index.js';

/**
 * The server names a certificate is for, as names are compared: those of its subjectAltName, or else
 * its common name. Addresses are no names: no client asks for one by SNI (RFC 6066 §3).
 */
export function certificateNames({ subjectAltName, subject }: X509Certificate): string[] {
  // Node quotes a name that has anything odd in it; such a one is nothing a client can ask for.
  const alternatives = (subjectAltName ?? '').split(', ');
  const written = alternatives.flatMap((one) => /^DNS:([^"]+)$/.exec(one)?.[1] ?? []);
  const common = /^CN=(.+)$/m.exec(subject ?? '')?.[1];
  const names = written.length > 0 ? written : common === undefined ? [] : [common];
  const parsed = names.map(parseServerName).flatMap((one) => (one.ok ? [one.value] : []));
  // A bare `*` in a certificate is no name that a client accepts (RFC 6125 §6.4.3); for any name one is by configuration.
  return [...new Set(parsed)].filter((name) => name !== '*');
}

/** Whether a certificate for `names` is good for one of them, or a wildcard's own. */
export function isCovered(name: string, names: readonly string[]): boolean {
  if (name === '*' || names.includes(name)) return true;
  // A wildcard stands for one label (RFC 6125 §6.4.3).
  return !name.startsWith('*') && names.includes(name.replace(/^[^.]+/, '*'));
}
