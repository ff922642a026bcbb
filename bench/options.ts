// The options every suite understands.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { root } from './machine.js';
import type { Peer } from './peers/peer.js';
import type { Conditions, Scenario, Suite } from './scenario.js';

export interface Options {
  rounds: number;
  seconds: number;
  scenarios: Scenario[];
  peers: Peer[];
  /** Names of the peers the ratios are taken to: the better one of them in each metric. */
  references: string[];
  jsonFile: string;
  cpus: Conditions['cpus'];
}

/** Upper bounds, so that a slip of the finger does not occupy a machine for a day. */
const roundsMax = 100;
const secondsMax = 600;

/** Reads a suite's arguments; throws an Error whose message is meant for the user. */
export function parseOptions(suite: Suite, args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '5' },
      only: { type: 'string' },
      peers: { type: 'string' },
      reference: { type: 'string', default: suite.references.join(',') },
      json: { type: 'string', default: `${root}build/bench/${suite.name}.json` },
      pin: { type: 'boolean', default: false },
    },
  });
  return {
    rounds: whole('rounds', values.rounds, roundsMax),
    seconds: whole('seconds', values.seconds, secondsMax),
    scenarios: chosen('only', values.only, suite.scenarios),
    peers: chosen('peers', values.peers, suite.peers),
    references: chosen('reference', values.reference, suite.peers).map(({ name }) => name),
    jsonFile: values.json,
    cpus: values.pin ? pinned() : { proxy: undefined, load: undefined },
  };
}

/** What `--help` prints. */
export function usage({ name, scenarios, peers, references }: Suite): string {
  return `usage: npm run bench -- ${name} [options]

  --rounds N     rounds, each with every scenario and every peer (default 5)
  --seconds S    length of each measured load, after a warm-up (default 5)
  --only A,B     scenarios: ${scenarios.map(({ name }) => name).join(', ')}
  --peers A,B    peers: ${peers.map(({ name }) => name).join(', ')}
  --reference A  the peers that ratios and targets refer to, the better of several (default ${references.join(',')})
  --json FILE    raw rounds, versions and medians (default build/bench/${name}.json)
  --pin          the proxy alone on the last processor, load and upstream on the others`;
}

function whole(option: string, text: string, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new Error(`--${option} takes a whole number from 1 to ${max}, not ${text}`);
  }
  return value;
}

function chosen<T extends { name: string }>(
  option: string,
  list: string | undefined,
  all: readonly T[],
): T[] {
  if (list === undefined) return [...all];
  const names = list.split(',');
  const unknown = names.find((name) => !all.some((one) => one.name === name));
  if (unknown !== undefined) {
    throw new Error(`--${option}: no ${unknown} among ${all.map(({ name }) => name).join(', ')}`);
  }
  return all.filter(({ name }) => names.includes(name));
}

function pinned(): Conditions['cpus'] {
  const last = availableParallelism() - 1;
  if (last < 1) throw new Error('--pin needs two processors');
  return { proxy: String(last), load: last === 1 ? '0' : `0-${last - 1}` };
}
