import { readFile } from 'node:fs/promises';
import { withoutDot } from '../../config/index.js';

/** What resolv.conf(5) allows for `ndots`. */
const NDOTS_MAX = 15;
/** Each one may cost a query: glibc before 2.26 stopped here, too. */
const DOMAINS_MAX = 6;

/**
 * Short names as people write them: `db` in a Kubernetes pod is `db.namespace.svc.cluster.local`. c-ares applies
 * the `search` and `ndots` of resolv.conf(5) to none of the queries that tell a TTL, so that is done here.
 */
export class SearchList {
  /** Of the file, when it could be read last. */
  private text = '';

  constructor(private readonly path = '/etc/resolv.conf') {}

  /**
   * The complete names a host may stand for, likeliest first; never empty. The file is read each time; one that cannot
   * be read, for want of descriptors, say, is as it was: another name may be another host.
   *
   * @param host ends with a dot when it is complete
   */
  async candidates(host: string): Promise<string[]> {
    const complete = withoutDot(host);
    if (complete !== host) return [complete];
    const { domains, ndots } = parseResolvConf(await this.read());
    const longer = domains.map((domain) => `${host}.${domain}`);
    return host.split('.').length > ndots ? [host, ...longer] : [...longer, host];
  }

  private async read(): Promise<string> {
    try {
      this.text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.text = '';
    }
    return this.text;
  }
}

/** Of several `search` or `domain` lines the last one counts. */
function parseResolvConf(text: string): { domains: string[]; ndots: number } {
  let domains: string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === 'search' || keyword === 'domain') {
      domains = values.map((domain) => withoutDot(domain.toLowerCase())).filter(Boolean);
    } else if (keyword === 'options') {
      const digits = values.map((value) => /^ndots:(\d+)$/.exec(value)?.[1]).find(Boolean);
      if (digits !== undefined) ndots = Math.min(Number(digits), NDOTS_MAX);
    }
  }
  return { domains: domains.slice(0, DOMAINS_MAX), ndots };
}
