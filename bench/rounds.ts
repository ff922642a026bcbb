// Interleaved rounds: whatever else the machine does meanwhile, it does to every peer alike.
import type { Peer } from './peers/peer.js';
import type { Conditions, Measurement, Scenario } from './scenario.js';
import { coresBusyElsewhere, sampleMachine } from './usage.js';

/** One peer in one scenario in one round. Either measured, or `error` says why not. */
export interface Result {
  round: number;
  scenario: string;
  peer: string;
  startedAt: string;
  /** Processors that other programs kept busy meanwhile: near 0, or the round says little about the peer. */
  coresBusyElsewhere: number;
  measurement: Measurement | null;
  error: string | null;
}

/**
 * Measures every peer in every scenario, `rounds` times over, the first peer a different one each time. A measurement
 * that fails is a result with an error; the rounds go on. Progress goes to stderr.
 */
export async function runRounds(
  rounds: number,
  scenarios: readonly Scenario[],
  peers: readonly Peer[],
  conditions: Conditions,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const [index, scenario] of scenarios.entries()) {
      for (const peer of rotated(peers, round + index)) {
        if (scenario.excludes?.includes(peer.name)) continue;
        const result = await measureOnce(round, scenario, peer, conditions);
        results.push(result);
        reportProgress(result, rounds, scenario);
      }
    }
  }
  return results;
}

async function measureOnce(
  round: number,
  scenario: Scenario,
  peer: Peer,
  conditions: Conditions,
): Promise<Result> {
  const result: Result = {
    round,
    scenario: scenario.name,
    peer: peer.name,
    startedAt: new Date().toISOString(),
    coresBusyElsewhere: 0,
    measurement: null,
    error: null,
  };
  const before = sampleMachine();
  try {
    const measurement = await scenario.measure(peer, conditions);
    for (const { key } of scenario.metrics) {
      if (!Number.isFinite(measurement.values[key])) throw new Error(`${key} was not measured`);
    }
    result.measurement = measurement;
  } catch (error) {
    result.error = error instanceof Error ? error.message : String(error);
  }
  result.coresBusyElsewhere = coresBusyElsewhere(before, sampleMachine());
  return result;
}

function rotated<T>(list: readonly T[], by: number): T[] {
  const start = by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

function reportProgress(result: Result, rounds: number, scenario: Scenario): void {
  const { round, peer, measurement, error } = result;
  const outcome = measurement
    ? scenario.metrics
        .map(({ key, title, digits }) => `${measurement.values[key]!.toFixed(digits)} ${title}`)
        .join(', ')
    : `FAILED: ${error}`;
  const place = `round ${round}/${rounds}  ${scenario.name.padEnd(12)}${peer.padEnd(16)}`;
  const elsewhere = result.coresBusyElsewhere.toFixed(2);
  process.stderr.write(`${place}${outcome}  (elsewhere ${elsewhere} cores)\n`);
}
