import { property } from '../document/index.js';
import { type Finding, show } from '../validation/index.js';
import { isLoopback, parseListenAddress } from '../values/index.js';

/**
 * Finds an admin endpoint that other machines can reach and that asks nobody for a token: whoever comes
 * could reload, end connections and read the configuration. The value may be invalid otherwise.
 */
export function findAdminExposure(file: unknown): Finding[] {
  const admin = property(file, 'admin');
  const bind = property(admin, 'bind');
  if (typeof bind !== 'string' || property(admin, 'token') !== undefined) return [];
  const parsed = parseListenAddress(bind);
  if (!parsed.ok || isLoopback(parsed.value)) return [];
  const message = `admin.bind is ${show(bind)}: other machines can reach it, expected a loopback address or a unix socket, or a "token" in admin`;
  return [{ pointer: '/admin/bind', at: 'value', message, absence: true }];
}
