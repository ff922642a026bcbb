import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';

/**
 * The file of hosts(5), read again only after it changed. One that is not there is an empty one; one that cannot be read,
 * for want of descriptors, say, is as it was.
 */
export class HostsFile {
  private hosts = new Map<string, string[]>();
  /** Of the file that was read last. */
  private version = '';

  constructor(private readonly path = '/etc/hosts') {}

  /**
   * The addresses of a host, in the file's order; none when it is not listed.
   *
   * @param host in lower case, without a dot at the end
   */
  async find(host: string): Promise<readonly string[]> {
    try {
      const { mtimeMs, size, ino } = await stat(this.path);
      const version = `${mtimeMs} ${size} ${ino}`;
      if (version !== this.version) {
        this.hosts = parseHosts(await readFile(this.path, 'utf8'));
        this.version = version;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.hosts = new Map();
      this.version = '';
    }
    return this.hosts.get(host) ?? [];
  }
}

function parseHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names) {
      const host = name.toLowerCase();
      const addresses = hosts.get(host);
      if (addresses === undefined) hosts.set(host, [address]);
      else addresses.push(address);
    }
  }
  return hosts;
}
