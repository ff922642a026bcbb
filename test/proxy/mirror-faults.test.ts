// A real worker whose system calls go wrong, and a shadow: what becomes of the shadow is nobody else's affair.
import t from 'tap';
import type { SyscallName } from '#src/splice/index.js';
import { possibleFaults, type Rule, shadowFaults } from '#test/support/faults/fault-plan.js';
import { Random } from '#test/support/random.js';
import type { Scenario } from '#test/support/worker/exchange.js';
import { FaultBench, faultsOf } from '#test/support/worker/fault-bench.js';

/** What is wrong with what came to shadows: bytes that are none of the client's, or an end that hides a loss. */
function wrongAtShadow(bench: FaultBench): string[] {
  const { outcomes } = bench.shadow!;
  bench.shadow!.outcomes = [];
  return outcomes.flatMap((outcome) => faultsOf('a shadow', outcome, false));
}

/** Bytes that were copied go into a pipe only where the shadow's socket did not take them. */
function setting(call: SyscallName): Rule[] {
  return call === 'write' ? [{ call: 'send', fault: 'short', every: 2 }] : [];
}

const scenarios: readonly Scenario[] = ['bulk', 'small', 'brief'];

for (const [call, , faults] of shadowFaults) {
  t.test(`mirror faults: ${call} may answer ${faults.join(', ')}`, async (t) => {
    const bench = await FaultBench.start(true);
    for (const fault of faults) {
      let injected = 0;
      for (const moment of [{ nth: 1 }, { nth: 2 }, { nth: 7 }, { every: 3 }, { every: 1 }]) {
        // A call that is interrupted each time never comes to an end.
        if (fault === 'EINTR' && moment.every === 1) continue;
        for (const scenario of scenarios) {
          bench.begin();
          bench.plan.follow([...setting(call), { call, fault, ...moment }]);
          const client = await bench.exchange(scenario);
          const wrong = [
            ...faultsOf('the client', client, true),
            ...(await bench.settle()),
            ...faultsOf('the origin', bench.atOrigin(client), true),
            ...bench.spin(2),
            ...wrongAtShadow(bench),
          ];
          injected += bench.plan.injected;
          bench.plan.follow([]);
          if (wrong.length > 0) t.fail(`${scenario}: ${fault}`, { moment, wrong });
        }
      }
      t.ok(injected > 0, `${fault}: ${injected} injected`);
    }
    t.equal(bench.worker.count('exceptions'), 0, 'no exception');
    await bench.close();
  });
}

const seed = Random.seed();
t.test(`mirror faults: random schedules (SEED=${seed})`, async (t) => {
  const bench = await FaultBench.start(true);
  let injected = 0;
  let whole = 0;
  let shadowed = 0;
  // How many faults a round has is its seed's.
  for (let round = 0; round < 40 || (injected <= 500 && round < 80); round++) {
    const random = new Random(seed + round);
    bench.begin();
    bench.plan.scatter(seed + round, random.pick([3, 10, 40, 150]));
    const flows = Array.from({ length: 4 }, () => bench.exchange(random.pick(scenarios)));
    const clients = await Promise.all(flows);
    injected += bench.plan.injected;
    bench.plan.follow([]);
    const wrong = [...bench.spin(8), ...(await bench.settle())];
    shadowed += bench.shadow!.outcomes.filter(({ isWhole }) => isWhole).length;
    wrong.push(...wrongAtShadow(bench));
    for (const client of clients) {
      if (client.isWhole) whole++;
      wrong.push(...faultsOf('a client', client, false));
      wrong.push(...faultsOf('an origin', bench.atOrigin(client), false));
    }
    if (wrong.length > 0) t.fail(`SEED=${seed + round}`, { wrong });
  }
  t.ok(injected > 500, `${injected} faults`);
  t.ok(whole > 40, `${whole} clients have everything`);
  t.ok(shadowed > 20, `${shadowed} shadows, too`);
  t.equal(bench.worker.count('exceptions'), 0, 'no exception');
  await bench.close();
});

t.test('mirror faults: none of a shadow’s is new to the others', async (t) => {
  const calls = possibleFaults.map(([call]) => call);
  t.same(
    shadowFaults.filter(([call]) => calls.includes(call)),
    [],
  );
});
