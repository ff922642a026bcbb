import t, { type Test } from 'tap';
import { type Fault, possibleFaults, type Rule } from '#test/support/faults/fault-plan.js';
import { Random } from '#test/support/random.js';
import type { Scenario } from '#test/support/worker/exchange.js';
import { FaultBench, faultsOf } from '#test/support/worker/fault-bench.js';

/** Faults that no flow may even notice, whatever the call. */
const unnoticed: readonly Fault[] = ['EAGAIN', 'EINTR', 'short'];
/** Calls of which no failure may cost a flow a byte: there is another way, or another try. */
const dispensable: readonly string[] = [
  'ioctl',
  'pipe2',
  'fcntl',
  'setsockopt',
  'accept4',
  'close',
];
const refusals: readonly Fault[] = ['EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'EPERM'];
/** Of socket(2) and connect(2): not now, but perhaps in a moment. */
const passing: readonly Fault[] = [
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ENOBUFS',
  'EAGAIN',
  'EADDRNOTAVAIL',
];

/** True where the flow must come out whole in spite of the fault. */
function isSurvivable({ call, fault }: Rule): boolean {
  if (unnoticed.includes(fault) || dispensable.includes(call)) return true;
  if (call === 'splice') return refusals.includes(fault);
  if (call === 'socket' || call === 'connect') return passing.includes(fault);
  return false;
}

/** When a call goes wrong: the 1st, 2nd, 5th time, every 3rd, or always where flows go on without. */
function moments(rule: Rule): Rule[] {
  const some = [{ nth: 1 }, { nth: 2 }, { nth: 5 }, { every: 3 }];
  const { call, fault } = rule;
  const mayAlways =
    ['ioctl', 'setsockopt', 'fcntl', 'pipe2'].includes(call) && !unnoticed.includes(fault);
  const isRefusal = call === 'splice' && refusals.includes(fault);
  const always = mayAlways || isRefusal ? [{ every: 1 }] : [];
  return [...some, ...always].map((moment) => ({ ...rule, ...moment }));
}

function textOf({ call, fault, side, nth = 0, every = 0 }: Rule): string {
  const when = nth > 0 ? `call ${nth}` : every === 1 ? 'always' : `every ${every}th call`;
  return `${call}${side === 'any' || side === undefined ? '' : ` ${side}`} ${fault}, ${when}`;
}

/** Rules that must hold for the call to be made at all. */
function setting({ call }: Rule): Rule[] {
  // The pump reads from a pipe only after its sink refused to splice.
  return call === 'read' ? [{ call: 'splice', side: 'out', fault: 'EINVAL', every: 1 }] : [];
}

/** What is wrong with a flow that nothing is done to. */
async function cleanFlow(bench: FaultBench, scenario: Scenario): Promise<string[]> {
  bench.begin();
  const client = await bench.exchange(scenario);
  const left = await bench.settle();
  return [
    ...faultsOf('the next client', client, true),
    ...faultsOf('the next origin', bench.atOrigin(client), true),
    ...left,
    ...bench.spin(),
  ];
}

/** One faulty flow and one clean one after it. @returns faults injected */
async function runCase(
  t: Test,
  bench: FaultBench,
  scenario: Scenario,
  rule: Rule,
): Promise<number> {
  const name = `${scenario}: ${textOf(rule)}`;
  const extra = setting(rule);
  const mustBeWhole = isSurvivable(rule);
  bench.begin();
  bench.plan.follow([...extra, rule]);
  const client = await bench.exchange(scenario);
  const wrong = [...faultsOf('the client', client, mustBeWhole), ...(await bench.settle())];
  wrong.push(...faultsOf('the origin', bench.atOrigin(client), mustBeWhole), ...bench.spin());
  const { injected } = bench.plan;
  bench.plan.follow([]);
  wrong.push(...(await cleanFlow(bench, scenario === 'bulk' ? 'brief' : scenario)));
  if (wrong.length > 0) t.fail(name, { wrong });
  return injected;
}

/** Calls that a warm pool of pipes makes unnecessary: it is emptied before each case. What it learns of failures, a worker's successor forgets. */
const coldCalls = ['pipe2', 'fcntl'];
/** Calls of flows that are made together with others', and what follows from them. */
const sharedCalls = ['recv', 'send', 'shutdown', 'epoll_wait'];
const cases = [
  ...possibleFaults.map((faults) => [false, ...faults] as const),
  ...possibleFaults.flatMap((faults) =>
    sharedCalls.includes(faults[0]) ? [[true, ...faults] as const] : [],
  ),
];

for (const [sharesCalls, call, side, faults] of cases) {
  const name = `${call}${side === 'any' ? '' : ` ${side}`}${sharesCalls ? ' of many' : ''}`;
  t.test(`faults: ${name} may answer ${faults.join(', ')}`, async (t) => {
    const isCold = coldCalls.includes(call);
    let bench = await FaultBench.start(false, sharesCalls);
    for (const fault of faults) {
      let injected = 0;
      for (const rule of moments({ call, side, fault })) {
        if (isCold && (rule.nth === 5 || rule.every === 3)) continue;
        for (const scenario of ['bulk', 'small'] as const) {
          if (isCold && scenario === 'small') continue;
          if (isCold) await bench.emptyPool();
          if (isCold) t.equal(bench.worker.count('pipes_pooled'), 0);
          injected += await runCase(t, bench, scenario, rule);
        }
      }
      // getsockopt(2) is only asked after something else went wrong.
      if (call !== 'getsockopt') t.ok(injected > 0, `${fault}: ${injected} injected`);
      if (!isCold) continue;
      t.equal(bench.worker.count('exceptions'), 0, 'no exception');
      await bench.close();
      bench = await FaultBench.start();
    }
    t.equal(bench.worker.count('exceptions'), 0, 'no exception');
    await bench.close();
  });
}

const seed = Random.seed();
for (const sharesCalls of [false, true]) {
  const how = sharesCalls ? 'many calls together' : 'each call by itself';
  t.test(`faults: random schedules, ${how} (SEED=${seed})`, (t) => randomSchedules(t, sharesCalls));
}

async function randomSchedules(t: Test, sharesCalls: boolean): Promise<void> {
  const bench = await FaultBench.start(false, sharesCalls);
  const outcomes = { end: 0, error: 0, timeout: 0 };
  let injected = 0;
  for (let round = 0; round < 50; round++) {
    const random = new Random(seed + round);
    bench.begin();
    bench.plan.scatter(seed + round, random.pick([3, 10, 40, 150]));
    const flows = Array.from({ length: 4 }, () =>
      bench.exchange(random.pick<Scenario>(['bulk', 'small', 'brief', 'small'])),
    );
    const clients = await Promise.all(flows);
    injected += bench.plan.injected;
    for (const { how } of clients) outcomes[how]++;
    const wrong = await bench.aftermath(clients);
    wrong.push(...(await cleanFlow(bench, 'brief')));
    if (wrong.length > 0) t.fail(`SEED=${seed + round}`, { wrong });
  }
  t.ok(injected > 500, `${injected} faults`);
  t.ok(outcomes.end > 50, `${outcomes.end} flows came through`);
  t.ok(outcomes.error > 10, `${outcomes.error} did not`);
  t.equal(bench.worker.count('batches') > 0, sharesCalls);
  t.equal(bench.worker.count('exceptions'), 0, 'no exception');
  await bench.close();
}
