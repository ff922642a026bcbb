import {
  type LatenessName,
  latenessNames,
  type RefusalName,
  type RouteCounters,
  refusalNames,
  requestBoundsMs,
  type StatusClass,
  statusClasses,
} from '../../proxy/index.js';
import type { RouteMemory } from './route-memory.js';
import type { HistogramStatistics } from './statistics.js';

/** What was counted of one route of a listener. */
export interface RouteStatistics {
  readonly listener: string;
  /** Its name or position; empty for requests that no route took. */
  readonly route: string;
  /** Requests under way. */
  readonly active: number;
  /** Those that are over, by class of status: those classes that there were. */
  readonly ended: Partial<Record<StatusClass, number>>;
  /** Those that the route refused, by why: those reasons that there were. */
  readonly refused: Partial<Record<RefusalName, number>>;
  /** Those that took too long, by what for. */
  readonly late: Partial<Record<LatenessName, number>>;
  /** From the request's head to the end of both bodies. */
  readonly durations: HistogramStatistics;
  /** From the request's head to the response's. */
  readonly firstBytes: HistogramStatistics;
}

export function readRouteStatistics(memory: RouteMemory): RouteStatistics[] {
  return memory.counted().map(({ listener, route, parts }) => {
    const sum = (pick: (part: RouteCounters) => number): number =>
      parts.reduce((total, part) => total + pick(part), 0);
    return {
      listener,
      route,
      active: sum(({ active }) => active),
      ended: present(statusClasses, (index) => sum((part) => part.answeredWith(index))),
      refused: present(refusalNames, (index) => sum((part) => part.refusedFor(index))),
      late: present(latenessNames, (index) => sum((part) => part.lateFor(index))),
      durations: histogram(
        (bucket) => sum((part) => part.endedIn(bucket)),
        sum(({ durationSumMs }) => durationSumMs),
      ),
      firstBytes: histogram(
        (bucket) => sum((part) => part.begunIn(bucket)),
        sum(({ firstByteSumMs }) => firstByteSumMs),
      ),
    };
  });
}

function histogram(count: (bucket: number) => number, sumMs: number): HistogramStatistics {
  const counts = Array.from({ length: requestBoundsMs.length + 1 }, (_, bucket) => count(bucket));
  return { boundsMs: requestBoundsMs, counts, sumMs };
}

/** Without those that are 0. */
function present<Key extends string>(
  keys: readonly Key[],
  count: (index: number) => number,
): Partial<Record<Key, number>> {
  const counts: Partial<Record<Key, number>> = {};
  for (const [index, key] of keys.entries()) {
    const value = count(index);
    if (value > 0) counts[key] = value;
  }
  return counts;
}
