// Many flows in each turn, whose calls are made together and go wrong at random.
import t from 'tap';
import { Random } from '#test/support/random.js';
import type { Scenario } from '#test/support/worker/exchange.js';
import { FaultBench } from '#test/support/worker/fault-bench.js';

const FLOWS = 32;
const ROUNDS = 30;
/** Long enough for every flow to have something to say in each turn. */
const NAP_MS = 2;
const seed = Random.seed();

t.test(`batch faults: ${FLOWS} flows at once (SEED=${seed})`, { timeout: 60_000 }, async (t) => {
  const bench = await FaultBench.start(false, true);
  bench.plan.napMs = NAP_MS;
  const outcomes = { end: 0, error: 0, timeout: 0 };
  let injected = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const random = new Random(seed + round);
    bench.begin();
    bench.plan.scatter(seed + round, random.pick([20, 60, 200]));
    const clients = await Promise.all(
      Array.from({ length: FLOWS }, () =>
        bench.exchange(random.pick<Scenario>(['small', 'small', 'small', 'brief'])),
      ),
    );
    injected += bench.plan.injected;
    for (const { how } of clients) outcomes[how]++;
    const wrong = await bench.aftermath(clients);
    if (wrong.length > 0) t.fail(`SEED=${seed + round}`, { wrong });
  }
  t.ok(injected > 200, `${injected} faults`);
  t.ok(outcomes.end > 50, `${outcomes.end} flows came through`);
  t.ok(outcomes.error > 10, `${outcomes.error} did not`);
  const [batches, calls] = [bench.worker.count('batches'), bench.worker.count('batched_calls')];
  t.ok(calls > 4 * batches, `${calls} calls in ${batches} batches: there were many in a turn`);
  t.equal(bench.worker.count('exceptions'), 0, 'no exception');
  await bench.close();
});
