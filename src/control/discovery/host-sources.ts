import { configuredFamilies, type Family } from './dns-client.js';
import { HostsFile } from './hosts-file.js';
import { SearchList } from './search-list.js';

/** Where the addresses of hosts come from. */
export interface HostSources {
  readonly hosts: HostsFile;
  readonly search: SearchList;
  /** What may be asked for, at this moment. */
  families(): readonly Family[];
}

/** Files of their own, and families that are always the same, are for tests. */
export function hostSources(options: {
  readonly hostsPath?: string | undefined;
  readonly resolvConfPath?: string | undefined;
  readonly families?: readonly Family[] | undefined;
}): HostSources {
  const { hostsPath, resolvConfPath, families } = options;
  return {
    hosts: new HostsFile(hostsPath),
    search: new SearchList(resolvConfPath),
    families: families === undefined ? configuredFamilies() : () => families,
  };
}
