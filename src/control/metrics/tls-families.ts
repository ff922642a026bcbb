import { tlsSides } from '../../proxy/index.js';
import type { Statistics, TlsStatistics } from '../statistics/index.js';
import type { MetricFamily, MetricSample } from './families.js';

/** What is counted of TLS: with clients (`side="client"`) and with endpoints (`side="upstream"`). */
export const tlsFamilies: readonly MetricFamily[] = [
  bySide(
    'headgate_tls_handshakes_total',
    'TLS handshakes that were completed, by what was agreed on and where records go from there',
    ({ handshakes }) =>
      handshakes.map(({ kind, count }) => ({
        labels: {
          version: kind.version,
          cipher: kind.cipher,
          resumed: String(kind.isResumed),
          kernel_tx: String(kind.kernelTx),
          kernel_rx: String(kind.kernelRx),
        },
        value: count,
      })),
  ),
  bySide(
    'headgate_tls_handshake_failures_total',
    'TLS handshakes that failed, by why',
    ({ failures }) => byLabel('reason', failures),
  ),
  bySide(
    'headgate_tls_kernel_fallbacks_total',
    'Directions of TLS connections whose records stayed in userland, by why',
    ({ kernelRefusals }) =>
      Object.entries(kernelRefusals).flatMap(([direction, reasons]) =>
        byLabel('reason', reasons).map(({ labels, value }) => ({
          labels: { direction, ...labels },
          value,
        })),
      ),
  ),
  bySide(
    'headgate_tls_endings_total',
    'TLS connections that are over, by how the other side’s stream ended; truncated is an end without close_notify',
    ({ endings }) => byLabel('ending', endings),
  ),
  bySide(
    'headgate_tls_tickets_total',
    'TLS 1.3 connections to upstreams whose records the kernel receives, by what came of the session ticket',
    ({ tickets }) => byLabel('outcome', tickets),
  ),
];

function bySide(
  name: string,
  help: string,
  pick: (statistics: TlsStatistics) => readonly MetricSample[],
): MetricFamily {
  const read = ({ tls }: Statistics): MetricSample[] =>
    tlsSides.flatMap((side) =>
      pick(tls[side]).map(({ labels, value }) => ({ labels: { side, ...labels }, value })),
    );
  return { name, type: 'counter', help, read };
}

function byLabel(label: string, counts: Readonly<Record<string, number>>): MetricSample[] {
  return Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value }));
}
