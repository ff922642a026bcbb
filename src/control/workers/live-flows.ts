import { type FlowList, type FlowQuery, mergeFlowLists } from '../../proxy/index.js';
import type { WorkerSlot } from './worker-slot.js';

/**
 * The live flows of all workers that run.
 * @throws NoAnswer when one of them does not say
 */
export async function listFlows(
  workers: readonly WorkerSlot[],
  query: FlowQuery,
): Promise<FlowList> {
  const running = workers.filter(({ isRunning }) => isRunning);
  return mergeFlowLists(await Promise.all(running.map((worker) => worker.flows(query))), query);
}

/**
 * Ends a live flow with a reset.
 *
 * @param id as in `FlowStatus`
 * @returns false when there is no such flow
 * @throws NoAnswer when its worker does not say
 */
export async function endFlow(workers: readonly WorkerSlot[], id: string): Promise<boolean> {
  const [, number, sequence] = /^(\d+)-(\d+)$/.exec(id) ?? [];
  const worker = workers.find((one) => one.isRunning && one.number === Number(number));
  return worker === undefined ? false : worker.endFlow(Number(sequence));
}
