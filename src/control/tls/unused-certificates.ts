import { createPrivateKey } from 'node:crypto';
import type { CertificateConfig, Config } from '../../config/index.js';
import { groupByNames } from '../../tls/index.js';
import type { Check } from '../machine/index.js';

/**
 * Certificates that no client is ever shown, because earlier ones with keys of the same kind have all of their names: a
 * renewed one that was written behind the old one, say.
 */
export function unusedCertificateChecks({ listeners }: Config): Check[] {
  return listeners.flatMap(({ name, tls }) =>
    unusedOf(tls?.certificates ?? []).map(({ certificate, rivals }) => ({
      name: `listener ${name}: certificate ${certificate.file}`,
      state: 'low' as const,
      detail: `no client is shown it: ${rivals.join(', ')} before it ${
        rivals.length === 1 ? 'has' : 'have'
      } its names (${certificate.names.join(', ') || 'none'}) and a key of the same kind`,
    })),
  );
}

function unusedOf(certificates: readonly CertificateConfig[]) {
  const kinds = certificates.map(kindOf);
  const groups = groupByNames(certificates, ({ index }) => kinds.indexOf(kinds[index]));
  const used = new Set(groups.flatMap(({ members }) => members.map(({ index }) => index)));
  return certificates.flatMap((certificate, index) => {
    if (used.has(index)) return [];
    const rivals = groups
      .filter(({ names }) => isAmong(certificate.names, names))
      .flatMap(({ members }) => members)
      .filter((one) => kinds[one.index] === kinds[index])
      .map((one) => one.certificate.file);
    return [{ certificate, rivals: [...new Set(rivals)] }];
  });
}

/** Whether a group serves one of these names; one without names serves nobody's question. */
function isAmong(names: readonly string[], served: readonly string[]): boolean {
  if (names.length === 0) return served.length === 0;
  return names.some((name) => served.includes(name));
}

/** Of its key: OpenSSL has a place for one of each in a context. */
function kindOf({ privateKey }: CertificateConfig): string | undefined {
  return createPrivateKey(privateKey).asymmetricKeyType;
}
