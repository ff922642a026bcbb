// Discovery with a DNS server whose answers a test writes, a clock it turns, and files of its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { parseEndpointName } from '#src/config/index.js';
import { describe } from '#src/control/discovery/endpoint.js';
import {
  Discovery,
  type DiscoveryOptions,
  type NameFacts,
  type NameWatch,
} from '#src/control/discovery/index.js';
import { until } from '#test/support/deadline.js';
import { DnsServer } from '#test/support/peers/dns-server.js';
import { expectNothingLeft, resources } from './leftovers.js';
import { ManualClock } from './manual-clock.js';
import { type Line, recordedLog } from './recorded-log.js';

/** What a watcher was told, one entry per call: `['192.0.2.1:80', '192.0.2.2:80 tier 1']`. */
export type Told = string[][];

export class DiscoveryRig {
  private constructor(
    readonly dns: DnsServer,
    readonly clock: ManualClock,
    readonly discovery: Discovery,
    readonly lines: Line[],
    readonly hostsPath: string,
  ) {}

  /** Opens one; it ends with `t`, and nothing may be left of it then. */
  static async open(t: Test, options: Partial<DiscoveryOptions> & { search?: string } = {}) {
    const before = resources();
    const directory = mkdtempSync(join(tmpdir(), 'headgate-discovery-'));
    const hostsPath = join(directory, 'hosts');
    const resolvConfPath = join(directory, 'resolv.conf');
    writeFileSync(hostsPath, '');
    writeFileSync(resolvConfPath, options.search === undefined ? '' : `search ${options.search}\n`);
    const dns = await DnsServer.open();
    const clock = new ManualClock();
    const { logger, lines } = recordedLog();
    const discovery = new Discovery({
      logger,
      servers: [dns.address],
      families: ['inet', 'inet6'],
      hostsPath,
      resolvConfPath,
      clock,
      random: () => 0,
      ...options,
    });
    const rig = new DiscoveryRig(dns, clock, discovery, lines, hostsPath);
    t.teardown(async () => {
      discovery.stop();
      if (clock.timers > 0) throw new Error(`${clock.timers} timers are left`);
      await dns.close();
      await expectNothingLeft(before);
      rmSync(directory, { recursive: true });
    });
    return rig;
  }

  /** Watches a name, and waits until its first lookup is over. */
  async watch(text: string): Promise<{ told: Told; watch: NameWatch }> {
    const told: Told = [];
    const parsed = parseEndpointName(text);
    if (!parsed.ok) throw new Error(parsed.reason);
    const watch = this.discovery.watch(parsed.value, (endpoints) => {
      told.push(endpoints.map(describe));
    });
    await watch.first;
    return { told, watch };
  }

  /** The numbers of the only name. */
  get facts(): NameFacts {
    const [facts, ...more] = this.discovery.facts();
    if (facts === undefined || more.length > 0) throw new Error('not exactly one name');
    return facts;
  }

  get lookups(): number {
    return Object.values(this.facts.lookups).reduce((sum, count) => sum + count, 0);
  }

  /** Turns the clock on to the next lookup of the only name, and waits until that is over. */
  async nextLookup(): Promise<void> {
    const before = this.lookups;
    this.clock.advance(this.clock.nextMs);
    await until(5_000, 'the next lookup', () => this.lookups > before);
  }
}
