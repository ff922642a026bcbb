import type { CertificateSettings } from './settings.js';

/** A certificate, as far as its names matter. */
interface Named {
  readonly names: readonly string[];
}

/** A certificate, and where it stands in the list. */
export interface ListedCertificate<Certificate extends Named = CertificateSettings> {
  readonly certificate: Certificate;
  readonly index: number;
}

/** Certificates of different kinds of keys that serve the same names together: one context. */
export interface CertificateGroup<Certificate extends Named = CertificateSettings> {
  /** As certificates have them; of one for nobody's question, none. */
  readonly names: readonly string[];
  readonly members: readonly ListedCertificate<Certificate>[];
}

/**
 * Finds who serves each name: the first certificate of every kind of key that is for it, whatever other names these
 * have. Names that the same ones serve are one group; that of the first certificate comes first.
 *
 * @param kindOf what two certificates must not have in common to be in one context; asked only where there is a choice
 */
export function groupByNames<Certificate extends Named>(
  certificates: readonly Certificate[],
  kindOf: (listed: ListedCertificate<Certificate>) => number,
): CertificateGroup<Certificate>[] {
  type Listed = ListedCertificate<Certificate>;
  const serving = new Map<string, Listed[]>();
  for (const [index, certificate] of certificates.entries()) {
    const listed = { certificate, index };
    const { names } = certificate;
    for (const name of names.length === 0 ? [''] : names) {
      const others = serving.get(name);
      if (others === undefined) serving.set(name, [listed]);
      else if (!others.some((one) => kindOf(one) === kindOf(listed))) others.push(listed);
    }
  }
  const groups = new Map<string, { names: string[]; members: readonly Listed[] }>();
  for (const [name, members] of serving) {
    const key = members.map(({ index }) => index).join(' ');
    const group = groups.get(key) ?? { names: [], members };
    groups.set(key, group);
    if (name !== '') group.names.push(name);
  }
  return [...groups.values()];
}
