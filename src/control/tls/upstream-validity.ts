import type { UpstreamConfig } from '../../config/index.js';
import { certificateValidities, type Validity } from './validity.js';

/** When the certificates end that upstreams are shown. */
export function upstreamValidities(upstreams: readonly UpstreamConfig[]): Validity[] {
  return upstreams.flatMap(({ name: upstream, tls }) => {
    const certificate = tls?.certificate ?? null;
    if (certificate === null) return [];
    const { names, subject, file } = certificate;
    return certificateValidities({ upstream }, names[0] ?? subject, file, certificate);
  });
}
