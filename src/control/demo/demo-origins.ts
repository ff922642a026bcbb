import { type Address, type Config, parseEndpointAddress } from '../../config/index.js';
import { formatAddress } from '../../splice/index.js';
import { type DemoOrigin, startDemoOrigin } from './demo-origin.js';

/** The demo origins there ever were, by upstream; one that is not in the configuration any more goes on for its flows. */
export class DemoOrigins {
  private readonly origins = new Map<string, DemoOrigin>();

  /** Starts those that do not run yet. */
  async start({ upstreams }: Config): Promise<void> {
    for (const { name, demo } of upstreams) {
      if (demo && !this.origins.has(name)) this.origins.set(name, await startDemoOrigin());
    }
  }

  get addresses(): Map<string, Address> {
    const addresses = new Map<string, Address>();
    for (const [name, { address }] of this.origins) {
      const parsed = parseEndpointAddress(formatAddress(address));
      if (parsed.ok) addresses.set(name, parsed.value);
    }
    return addresses;
  }

  close(): void {
    for (const origin of this.origins.values()) origin.close();
  }
}
