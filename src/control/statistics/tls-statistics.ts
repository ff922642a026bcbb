import type { Counters, HandshakeKind, TlsSideName } from '../../proxy/index.js';
import {
  handshakeFailures,
  kernelTlsRefusals,
  ticketOutcomes,
  tlsEndings,
} from '../../tls/index.js';

/** TLS with clients, or with endpoints; only what there was. */
export interface TlsStatistics {
  handshakes: { kind: HandshakeKind; count: number }[];
  /** By reason. */
  failures: Record<string, number>;
  /** Why records of a direction stayed in userland, by reason. */
  kernelRefusals: { tx: Record<string, number>; rx: Record<string, number> };
  /** How the other side's streams have ended. */
  endings: Record<string, number>;
  /** What came of the session tickets of connections whose records the kernel received. */
  tickets: Record<string, number>;
}

export function readTlsStatistics(regions: readonly Counters[], side: TlsSideName): TlsStatistics {
  const counts = (names: readonly string[], pick: (region: Counters, index: number) => number) =>
    Object.fromEntries(
      names
        .map((name, index) => [name, sum(regions, (region) => pick(region, index))] as const)
        .filter(([, count]) => count > 0),
    );
  const refusals = (direction: 'tx' | 'rx') =>
    counts(kernelTlsRefusals, ({ tls }, index) => tls.refusalsFor(side, direction, index));
  return {
    handshakes: readHandshakes(regions, side),
    failures: counts(handshakeFailures, ({ tls }, index) => tls.failuresFor(side, index)),
    kernelRefusals: { tx: refusals('tx'), rx: refusals('rx') },
    endings: counts(tlsEndings, ({ tls }, index) => tls.endingsOf(side, index)),
    tickets: counts(ticketOutcomes, ({ tls }, index) => tls.ticketsOf(side, index)),
  };
}

function readHandshakes(
  regions: readonly Counters[],
  side: TlsSideName,
): TlsStatistics['handshakes'] {
  const all = new Map<string, { kind: HandshakeKind; count: number }>();
  for (const { tls } of regions) {
    for (const [kind, count] of tls.handshakes()) {
      if (count === 0 || kind.side !== side) continue;
      const key = JSON.stringify(kind);
      const known = all.get(key);
      if (known === undefined) all.set(key, { kind, count });
      else known.count += count;
    }
  }
  return [...all.values()];
}

function sum(regions: readonly Counters[], pick: (region: Counters) => number): number {
  return regions.reduce((total, region) => total + pick(region), 0);
}
