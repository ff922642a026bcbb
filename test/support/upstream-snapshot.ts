import {
  EndpointSlots,
  EndpointTable,
  type UpstreamSnapshot,
  upstreamDefaults,
} from '#src/proxy/index.js';
import { formatAddress, type SocketAddress } from '#src/splice/index.js';

/** An upstream of which nothing is said but its endpoints, and the table they have slots in. */
export function plainUpstream(
  name: string,
  addresses: readonly SocketAddress[],
): { snapshot: UpstreamSnapshot; endpointTable: SharedArrayBuffer } {
  const endpointTable = EndpointTable.createMemory(1);
  const [assigned] = new EndpointSlots(new EndpointTable(endpointTable)).assign([
    {
      upstream: name,
      endpoints: addresses.map((address) => ({ address: formatAddress(address), weight: 1 })),
    },
  ]);
  const snapshot: UpstreamSnapshot = {
    ...upstreamDefaults,
    name,
    slot: assigned!.slot,
    endpoints: addresses.map((address, index) => ({
      address,
      weight: 1,
      backup: false,
      slot: assigned!.endpoints[index]!,
    })),
  };
  return { snapshot, endpointTable };
}
