// One run of a suite from its arguments to its exit code: what can run here, the rounds, the tables, the JSON.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { describeMachine } from './machine.js';
import { type Options, parseOptions, usage } from './options.js';
import { subject } from './peers/index.js';
import type { Peer } from './peers/peer.js';
import { killEverythingAtExit } from './process.js';
import { renderInterference, renderTables, summarize } from './report.js';
import { runRounds } from './rounds.js';
import type { Scenario, Suite } from './scenario.js';

/**
 * Runs a suite. Answers 0 when every measurement was valid (missed targets are in the table, not in the code), 1 when
 * one failed or nothing could be measured, 2 when the arguments are wrong.
 */
export async function runSuite(suite: Suite, args: string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(usage(suite));
    return 0;
  }
  let options: Options;
  try {
    options = parseOptions(suite, args);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage(suite)}`);
    return 2;
  }
  killEverythingAtExit();
  const directory = mkdtempSync(`${tmpdir()}/headgate-bench-`);
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return runWith(suite.name, options, directory);
}

async function runWith(name: string, options: Options, directory: string): Promise<number> {
  const startedAt = new Date().toISOString();
  const { rounds, seconds, cpus, references } = options;
  const machine = await describeMachine();
  const { runnable, versions } = await availablePeers(options.peers);
  const scenarios = await possibleScenarios(options.scenarios);
  if (runnable.length === 0 || scenarios.length === 0) {
    console.error('nothing to measure');
    return 1;
  }

  const results = await runRounds(rounds, scenarios, runnable, { seconds, directory, cpus });

  const rows = summarize(
    results,
    scenarios,
    runnable.map((peer) => peer.name),
    references,
  );
  const described = Object.entries(versions).map(([peer, version]) => `${peer} ${version}`);
  console.log(
    `${described.join(', ')}; kernel ${machine.kernel}, ${machine.processors} processors; ` +
      `${rounds} rounds of ${seconds} s, median (min–max), × = ratio to ${references.length > 1 ? 'the better of ' : ''}${references.join(' and ')}\n`,
  );
  console.log(renderTables(rows, scenarios));
  console.log(`\n${renderInterference(results)}`);

  const finishedAt = new Date().toISOString();
  const settings = { rounds, seconds, cpus, references };
  const report = { suite: name, startedAt, finishedAt, machine, versions, settings, rows, results };
  mkdirSync(dirname(options.jsonFile), { recursive: true });
  writeFileSync(options.jsonFile, `${JSON.stringify(report, null, 2)}\n`);
  console.error(`\nraw rounds: ${options.jsonFile}`);
  return results.every(({ error }) => error === null) ? 0 : 1;
}

/** The peers that can run here; a missing one is said and left out. */
async function availablePeers(peers: readonly Peer[]) {
  const runnable: Peer[] = [];
  const versions: Record<string, string> = {};
  for (const peer of peers) {
    const availability = await peer.availability();
    if (availability.available) {
      runnable.push(peer);
      versions[peer.name] = availability.version;
    } else {
      const verdict = peer.name === subject ? 'no target can be judged' : 'left out';
      console.error(`${peer.name}: ${availability.reason}; ${verdict}`);
    }
  }
  return { runnable, versions };
}

async function possibleScenarios(scenarios: readonly Scenario[]): Promise<Scenario[]> {
  const possible: Scenario[] = [];
  for (const scenario of scenarios) {
    const missing = await scenario.missing();
    if (missing === null) possible.push(scenario);
    else console.error(`${scenario.name}: ${missing}; left out`);
  }
  return possible;
}
