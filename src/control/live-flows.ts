import { type FlowList, type FlowQuery, mergeFlowLists } from '../proxy/index.js';
import type { DataThread } from './data-thread.js';

/**
 * The live flows of all workers that run.
 * @throws NoAnswer when one of them does not say
 */
export async function listFlows(
  threads: readonly DataThread[],
  query: FlowQuery,
): Promise<FlowList> {
  const running = threads.filter(({ isRunning }) => isRunning);
  return mergeFlowLists(await Promise.all(running.map((thread) => thread.flows(query))), query);
}

/**
 * Ends a live flow with a reset.
 *
 * @param id as in `FlowStatus`
 * @returns false when there is no such flow
 * @throws NoAnswer when its worker does not say
 */
export async function endFlow(threads: readonly DataThread[], id: string): Promise<boolean> {
  const [, worker, sequence] = /^(\d+)-(\d+)$/.exec(id) ?? [];
  const thread = threads.find(
    ({ snapshot, isRunning }) => isRunning && snapshot.worker === Number(worker),
  );
  return thread === undefined ? false : thread.endFlow(Number(sequence));
}
