import type { Config } from '../../config/index.js';
import type { Check } from '../machine/index.js';
import { unusedCertificateChecks } from './unused-certificates.js';
import { validityChecks } from './validity-checks.js';

/** What people should know of everything that a configuration does TLS with. @throws Error as {@link validityChecks} does */
export function tlsChecks(config: Config): Check[] {
  return [...unusedCertificateChecks(config), ...validityChecks(config)];
}
