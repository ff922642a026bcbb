import { createHash } from 'node:crypto';
import { serialize } from 'node:v8';

/** The settings with a fingerprint of all they say, secrets included: it gives nothing of them away. */
export function withFingerprint<Settings extends object>(
  settings: Settings,
): Settings & { readonly fingerprint: string } {
  const fingerprint = createHash('sha256').update(serialize(settings)).digest('hex');
  return { ...settings, fingerprint };
}
