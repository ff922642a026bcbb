/** Changes the Domain of cookies that only makes sense behind the proxy (RFC 6265 §5.2.3). */
export class CookieDomains {
  private readonly domains: ReadonlyMap<string, string>;

  /** @param domains lower case; an empty `to` takes the attribute out */
  constructor(domains: readonly { readonly from: string; readonly to: string }[]) {
    this.domains = new Map(domains.map(({ from, to }) => [from, to]));
  }

  /** @param value of Set-Cookie */
  rewrite(value: string): string {
    // Nothing is tried twice, so that no value takes long.
    return value.replace(/;\s*domain\s*=([^;]*)/gi, (attribute, domain: string) => {
      const to = this.domains.get(domain.trim().replace(/^\./, '').toLowerCase());
      if (to === undefined) return attribute;
      return to === '' ? '' : `; Domain=${to}`;
    });
  }
}
