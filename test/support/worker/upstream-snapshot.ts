import {
  EndpointSlots,
  EndpointTable,
  type MirrorSnapshot,
  type UpstreamSnapshot,
  upstreamDefaults,
} from '#src/proxy/index.js';
import { formatAddress, type SocketAddress } from '#src/splice/index.js';

/** A mirror to the second upstream, of all connections or requests. */
export const wholeMirror: MirrorSnapshot = {
  upstream: 1,
  sample: 1,
  concurrentMax: 1024,
  bufferBytes: 512 * 1024,
  timeoutMs: 1000,
};

/** An upstream of which nothing is said but its endpoints, and the table they have slots in. */
export function plainUpstream(
  name: string,
  addresses: readonly SocketAddress[],
): { snapshot: UpstreamSnapshot; endpointTable: SharedArrayBuffer } {
  const { snapshots, endpointTable } = plainUpstreams({ [name]: addresses });
  return { snapshot: snapshots[0]!, endpointTable };
}

/** The same, several of them in one table. */
export function plainUpstreams(upstreams: Readonly<Record<string, readonly SocketAddress[]>>): {
  snapshots: UpstreamSnapshot[];
  endpointTable: SharedArrayBuffer;
} {
  const endpointTable = EndpointTable.createMemory(1);
  const named = Object.entries(upstreams);
  const assigned = new EndpointSlots(new EndpointTable(endpointTable)).assign(
    named.map(([upstream, addresses]) => ({
      upstream,
      endpoints: addresses.map((address) => ({ address: formatAddress(address), weight: 1 })),
    })),
  );
  const snapshots = named.map(([name, addresses], upstream) => ({
    ...upstreamDefaults,
    name,
    slot: assigned[upstream]!.slot,
    endpoints: addresses.map((address, index) => ({
      address,
      weight: 1,
      backup: false,
      slot: assigned[upstream]!.endpoints[index]!,
    })),
  }));
  return { snapshots, endpointTable };
}
