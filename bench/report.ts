// From raw results to medians, ratios, verdicts and the Markdown tables.
import { subject } from './peers/index.js';
import type { Result } from './rounds.js';
import type { Metric, Scenario, Target } from './scenario.js';

/** One metric of one peer over all rounds. */
export interface Summary {
  median: number;
  min: number;
  max: number;
  /**
   * The median divided by that of the reference, the better one where there are several; null for references and
   * where none, or nothing, was measured.
   */
  ratio: number | null;
  /** Whether Headgate meets the metric's target; null where there is none, or nothing to compare with. */
  met: boolean | null;
}

/** Everything known about one peer in one scenario. */
export interface Row {
  scenario: string;
  peer: string;
  /** By the metric's key; empty when no round succeeded. */
  metrics: Record<string, Summary>;
  rounds: number;
  failures: string[];
}

/** A row for every scenario and peer, in the order given. */
export function summarize(
  results: readonly Result[],
  scenarios: readonly Scenario[],
  peers: readonly string[],
  references: readonly string[],
): Row[] {
  return scenarios.flatMap((scenario) => {
    const own = results.filter((result) => result.scenario === scenario.name);
    const bases = references.map((reference) => own.filter(({ peer }) => peer === reference));
    return peers
      .filter((peer) => !scenario.excludes?.includes(peer))
      .map((peer) =>
        summarizePeer(
          scenario,
          peer,
          own.filter((result) => result.peer === peer),
          references.includes(peer) ? [] : bases,
        ),
      );
  });
}

/** One sentence on what else the machine did: the reader's measure of how far to trust the table. */
export function renderInterference(results: readonly Result[]): string {
  const cores = results.map(({ coresBusyElsewhere }) => coresBusyElsewhere);
  const [middle, max] = [median(cores), Math.max(...cores)].map((value) => value.toFixed(2));
  return `Other programs kept ${middle} cores busy in the median measurement, ${max} in the worst.`;
}

/** A heading and a table for each scenario; failed rounds are listed below it. */
export function renderTables(rows: readonly Row[], scenarios: readonly Scenario[]): string {
  return scenarios
    .map((scenario) =>
      renderTable(
        scenario,
        rows.filter((row) => row.scenario === scenario.name),
      ),
    )
    .join('\n\n');
}

function summarizePeer(
  { name, metrics }: Scenario,
  peer: string,
  results: readonly Result[],
  bases: readonly (readonly Result[])[],
): Row {
  const failures = results.flatMap(({ round, error }) =>
    error ? [`round ${round}: ${error}`] : [],
  );
  const row: Row = { scenario: name, peer, metrics: {}, rounds: results.length, failures };
  for (const { key, target } of metrics) {
    const values = valuesOf(results, key);
    if (values.length === 0) continue;
    const middle = median(values);
    const base = better(
      bases.map((results) => valuesOf(results, key)).filter((values) => values.length > 0),
      target,
    );
    // Of nothing there is no part.
    const ratio = base === null || base === 0 ? null : middle / base;
    const judged = target && peer === subject ? meets(target, middle, ratio) : null;
    row.metrics[key] = {
      median: middle,
      min: Math.min(...values),
      max: Math.max(...values),
      ratio,
      // A peer that failed in some rounds has met nothing, however fast it was in the others.
      met: judged === null ? null : judged && failures.length === 0,
    };
  }
  return row;
}

function valuesOf(results: readonly Result[], key: string): number[] {
  return results.flatMap(({ measurement }) => (measurement ? [measurement.values[key]!] : []));
}

/** The best median, as the target understands it; without one, the first. */
function better(values: readonly (readonly number[])[], target: Target | undefined): number | null {
  const [first, ...others] = values.map(median);
  if (first === undefined) return null;
  if (target === undefined) return first;
  return target.bound === 'at least' ? Math.max(first, ...others) : Math.min(first, ...others);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function meets({ bound, value, of }: Target, middle: number, ratio: number | null): boolean | null {
  const measured = of === 'ratio' ? ratio : middle;
  if (measured === null) return null;
  return bound === 'at least' ? measured >= value : measured <= value;
}

function renderTable({ title, metrics }: Scenario, rows: readonly Row[]): string {
  const lines = [
    `### ${title}`,
    '',
    `| | ${metrics.map(heading).join(' | ')} |`,
    `|---|${metrics.map(() => '---').join('|')}|`,
    ...rows.map(
      (row) => `| ${row.peer} | ${metrics.map((metric) => cell(metric, row)).join(' | ')} |`,
    ),
  ];
  for (const { peer, failures, rounds } of rows) {
    if (failures.length === 0) continue;
    lines.push('', `**${peer}: ${failures.length} of ${rounds} rounds failed.**`);
    lines.push(...failures.map((failure) => `- ${failure.trim().split('\n').join('\n  ')}`));
  }
  return lines.join('\n');
}

function heading({ title, target }: Metric): string {
  if (!target) return title;
  const sign = target.bound === 'at least' ? '≥' : '≤';
  return `${title}, target ${sign} ${target.value}${target.of === 'ratio' ? '×' : ''}`;
}

function cell({ key, digits }: Metric, row: Row): string {
  const summary = row.metrics[key];
  if (!summary) return 'failed';
  const format = (value: number) =>
    value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const { median: middle, min, max, ratio, met } = summary;
  const parts = [`${format(middle)} (${format(min)}–${format(max)})`];
  if (ratio !== null) parts.push(`${ratio.toFixed(3)}×`);
  if (met !== null) parts.push(met ? '✓' : '✗');
  return parts.join(' ');
}
