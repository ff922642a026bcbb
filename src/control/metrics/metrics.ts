import { setImmediate as otherEvents } from 'node:timers/promises';
import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';
import type { Statistics } from '../statistics/index.js';
import { type Build, thisBuild } from './build.js';
import { families } from './families.js';

/**
 * The page that Prometheus reads. Every number comes from one reading of the statistics, made for
 * this scrape: the data path never hears of it.
 */
export class Metrics {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  private readonly registry = new Registry();
  private readonly process = processRegistry();
  private readonly build: Build = thisBuild();
  private statistics: Statistics | undefined;
  private underWay: Promise<string> | undefined;

  /** @param readStatistics called once for each page */
  constructor(private readonly readStatistics: () => Statistics) {
    for (const { name, type, help, read } of families) {
      // A registry asks its metrics for a name and for get(), and nothing else. prom-client's own
      // counters would keep a second copy of each number, and its histogram cannot be set at all.
      const metric = {
        name,
        get: async () => ({ name, type, help, values: read(this.statistics!, this.build) }),
      };
      this.registry.registerMetric(metric as unknown as Metric);
    }
  }

  /** The exposition in Prometheus' text format, version 0.0.4; who asks while one is being made gets that. */
  expose(): Promise<string> {
    this.underWay ??= this.make().finally(() => {
      this.underWay = undefined;
    });
    return this.underWay;
  }

  private async make(): Promise<string> {
    // It takes milliseconds: whoever else is asking in this turn of the loop gets the same.
    await otherEvents();
    this.statistics = this.readStatistics();
    const own = await this.registry.metrics();
    return `${own}\n${await this.process.metrics()}`;
  }
}

let ofThisProcess: Registry | undefined;

/**
 * `process_…` and `nodejs_…`: of the process, however many proxies it runs, so there is one of it. It
 * watches the control thread's event loop from here on, which costs about 0.15 % of a core.
 */
function processRegistry(): Registry {
  if (ofThisProcess === undefined) {
    ofThisProcess = new Registry();
    collectDefaultMetrics({ register: ofThisProcess });
  }
  return ofThisProcess;
}
