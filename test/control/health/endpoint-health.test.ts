import t from 'tap';
import {
  type HealthCheck,
  HealthMonitor,
  type HealthMonitorOptions,
  type HealthState,
  type Outcome,
  type Verdict,
} from '#src/control/health/index.js';
import { ManualClock } from '../discovery/manual-clock.js';
import { recordedLog } from '../discovery/recorded-log.js';
import { endpointAt } from './health-peer.js';

const check: HealthCheck = { intervalMs: 2_000, timeoutMs: 1_000, rise: 2, fall: 3 };

/** A monitor whose checks end when, and how, the test says. */
function open(options: Partial<HealthMonitorOptions> = {}) {
  const clock = new ManualClock();
  const { logger, lines } = recordedLog();
  const pending: { endpoint: string; end: (verdict: Verdict) => void; isCancelled: boolean }[] = [];
  const changes: string[] = [];
  const monitor = new HealthMonitor({
    logger,
    clock,
    random: () => 0,
    makeProbe: (endpoint, _, __, onVerdict) => {
      const one = { endpoint: endpoint.address.text, end: onVerdict, isCancelled: false };
      pending.push(one);
      return () => {
        one.isCancelled = true;
      };
    },
    ...options,
  });
  return {
    clock,
    lines,
    pending,
    changes,
    monitor,
    watch: (port = 1, some: HealthCheck = check, state?: 'up' | 'down') =>
      monitor.watch(
        endpointAt(`127.0.0.1:${port}`),
        some,
        (to, reason, from) => changes.push(`${from} → ${to}: ${reason}`),
        state,
      ),
    end: (outcome: Outcome, reason: string = outcome) => pending.shift()!.end({ outcome, reason }),
    /** Lets the check that is under way end, and the next one begin. */
    next(outcome: Outcome, reason?: string) {
      this.end(outcome, reason);
      const delayMs = clock.nextMs;
      clock.advance(delayMs);
      return delayMs;
    },
  };
}

t.test('endpoint health: the first check is made at once', async (t) => {
  const { pending, watch, clock } = open();
  t.equal(watch().state, 'unknown');
  t.equal(pending.length, 1);
  t.equal(clock.timers, 0);
});

t.test('endpoint health: every row of verdicts, and what becomes of it', async (t) => {
  // + passes, - fails, ? is inconclusive; rise 2, fall 3.
  const cases: [string, HealthState][] = [
    ['+', 'unknown'],
    ['++', 'up'],
    ['-', 'unknown'],
    ['--', 'unknown'],
    ['---', 'down'],
    ['--+', 'unknown'],
    ['--++', 'up'],
    ['-+-+--', 'unknown'],
    ['-+-+---', 'down'],
    ['++--', 'up'],
    ['++--+--', 'up'],
    ['++---', 'down'],
    ['++---+', 'down'],
    ['++---+-+', 'down'],
    ['++---++', 'up'],
    ['+?+', 'up'],
    ['++-?-?-', 'down'],
    ['????', 'unknown'],
    ['++????', 'up'],
  ];
  for (const [row, state] of cases) {
    const rig = open();
    const watch = rig.watch();
    for (const sign of row) {
      rig.next(sign === '+' ? 'pass' : sign === '-' ? 'fail' : 'inconclusive');
    }
    t.equal(watch.state, state, row);
  }
});

t.test(
  'endpoint health: changes are told once, with reason, in the log and to the watcher',
  async (t) => {
    const rig = open();
    rig.watch();
    for (const _ of '++++') rig.next('pass', 'status 200');
    for (const _ of '-----') rig.next('fail', 'connection refused');
    t.same(rig.changes, ['unknown → up: status 200', 'up → down: connection refused']);
    t.strictSame(rig.lines, [
      {
        level: 30,
        upstream: 'test',
        endpoint: '127.0.0.1:1',
        from: 'unknown',
        to: 'up',
        reason: 'status 200',
        after_ms: 2_000,
        msg: 'endpoint is up',
      },
      {
        level: 40,
        upstream: 'test',
        endpoint: '127.0.0.1:1',
        from: 'up',
        to: 'down',
        reason: 'connection refused',
        after_ms: 10_000,
        msg: 'endpoint is down',
      },
    ]);
  },
);

t.test('endpoint health: that nothing can be checked is said once each time', async (t) => {
  const rig = open();
  rig.watch();
  for (const outcome of ['inconclusive', 'inconclusive', 'pass', 'inconclusive'] as const) {
    rig.next(outcome);
  }
  t.match(rig.lines, [
    { msg: 'an endpoint cannot be checked', reason: 'inconclusive' },
    { msg: 'an endpoint cannot be checked' },
  ]);
  t.equal(rig.lines.length, 2);
});

t.test('endpoint health: in between it is checked faster', async (t) => {
  const rig = open();
  rig.watch(1, { ...check, fastIntervalMs: 500 });
  t.equal(rig.next('pass'), 500);
  t.equal(rig.next('pass'), 2_000, 'up');
  t.equal(rig.next('fail'), 500);
  t.equal(rig.next('pass'), 2_000, 'up all the same');
  t.equal(rig.next('fail'), 500);
  t.equal(rig.next('fail'), 500);
  t.equal(rig.next('fail'), 2_000, 'down');
  t.equal(rig.next('pass'), 500);
  t.equal(rig.next('pass'), 2_000, 'up again');
});

t.test(
  'endpoint health: the interval is from beginning to beginning, and never overlaps',
  async (t) => {
    const rig = open();
    rig.watch();
    rig.clock.advance(700);
    rig.end('pass');
    t.equal(rig.clock.nextMs, 1_300);
    rig.clock.advance(1_300);
    rig.clock.advance(5_000);
    t.equal(rig.pending.length, 1, 'a check that takes long has no company');
    rig.end('pass');
    t.equal(rig.clock.nextMs, 0);
  },
);

t.test('endpoint health: checks drift apart by up to a tenth, never early', async (t) => {
  const rig = open({ random: () => 0.5 });
  rig.watch();
  t.equal(rig.next('pass'), 2_100);
});

t.test(
  'endpoint health: 64 checks at a time, and what silent endpoints cost the others',
  async (t) => {
    // An endpoint that answers, beside so many that do not; how often it is checked until it is known that they are
    // down, which takes three checks of each, and how often afterwards.
    for (const [silent, firstMs, laterMs] of [
      [120, 2_000, 2_000],
      [640, 10_000, 2_000],
    ] as const) {
      const clock = new ManualClock();
      const begunMs: number[] = [];
      let [current, most] = [0, 0];
      const { monitor, watch } = open({
        clock,
        makeProbe: ({ address }, { timeoutMs }, clock, onVerdict) => {
          most = Math.max(most, ++current);
          const answers = address.text === '127.0.0.1:1';
          if (answers) begunMs.push(clock.now());
          const timer = clock.setTimeout(
            () => {
              current--;
              onVerdict({ outcome: answers ? 'pass' : 'fail', reason: '' });
            },
            answers ? 5 : timeoutMs,
          );
          return () => timer.cancel();
        },
      });
      for (let port = 1; port <= 1 + silent; port++) watch(port);
      clock.advance(60_000);
      t.equal(most, 64);
      const gaps = begunMs.slice(1).map((ms, index) => ms - begunMs[index]!);
      const isAbout = (ms: number, wantedMs: number) => ms >= wantedMs && ms <= wantedMs * 1.2;
      t.ok(isAbout(gaps[1]!, firstMs), `${silent} silent: ${gaps}`);
      t.ok(
        gaps.slice(3).every((ms) => isAbout(ms, laterMs)),
        'and each interval afterwards',
      );
      monitor.stop();
    }
  },
);

t.test('endpoint health: what an earlier watch found is not forgotten', async (t) => {
  const rig = open();
  const watch = rig.watch(1, check, 'down');
  t.equal(watch.state, 'down');
  rig.next('pass');
  t.equal(watch.state, 'down');
  rig.next('pass');
  t.same(rig.changes, ['down → up: pass']);
});

t.test('endpoint health: numbers for the metrics', async (t) => {
  const rig = open();
  const watch = rig.watch();
  t.match(rig.monitor.facts(), [{ state: 'unknown', reason: '', checkMs: undefined }]);
  rig.clock.advance(30);
  rig.next('pass', 'status 200');
  rig.next('pass', 'status 200');
  rig.next('fail', 'status 500');
  t.strictSame(rig.monitor.facts(), [
    {
      upstream: 'test',
      endpoint: '127.0.0.1:1',
      state: 'up',
      stateMs: 4_000,
      reason: 'status 500',
      checkMs: 0,
      checks: { pass: 2, fail: 1, inconclusive: 0 },
    },
  ]);
  watch.stop();
  t.same(rig.monitor.facts(), []);
});

t.test(
  'endpoint health: stopped while it waits, while it is checked, and while in line',
  async (t) => {
    const rig = open({ checksMax: 1 });
    const [checked, inLine] = [rig.watch(1), rig.watch(2)];
    t.equal(rig.pending.length, 1);
    inLine.stop();
    const [one] = rig.pending;
    checked.stop();
    checked.stop();
    t.equal(one!.isCancelled, true);
    t.equal(checked.state, 'stopped');
    t.equal(rig.pending.length, 1, 'the one in line was not checked');
    const waiting = rig.watch(3);
    rig.pending.shift();
    rig.end('pass');
    waiting.stop();
    t.equal(rig.clock.timers, 0);
    t.same(rig.changes, []);
  },
);

t.test('endpoint health: a watcher may stop its watch when it is told', async (t) => {
  const rig = open();
  const watch = rig.monitor.watch(endpointAt('127.0.0.1:1'), { ...check, rise: 1 }, () =>
    watch.stop(),
  );
  rig.end('pass');
  t.equal(rig.clock.timers, 0);
  t.same(rig.monitor.facts(), []);
});

t.test('health monitor: so many checks at a time, never two of one endpoint', async (t) => {
  const rig = open({ checksMax: 3 });
  for (const port of [1, 1, 2, 3, 4]) rig.watch(port);
  const under = () => rig.pending.map(({ endpoint }) => endpoint.split(':')[1]);
  t.same(under(), ['1', '2', '3']);
  rig.end('pass');
  t.same(under(), ['2', '3', '1'], 'the second watch of the first endpoint');
  rig.end('pass');
  t.same(under(), ['3', '1', '4']);
});

t.test('health monitor: the end begins no more checks', async (t) => {
  const rig = open({ checksMax: 1 });
  for (const port of [1, 2, 3]) rig.watch(port);
  rig.monitor.stop();
  t.equal(rig.pending.length, 1);
  t.equal(rig.clock.timers, 0);
  t.same(rig.monitor.facts(), []);
});
