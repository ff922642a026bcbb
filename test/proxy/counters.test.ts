import t from 'tap';
import {
  COUNTER_REGION_BYTES,
  Counter,
  Counters,
  closeReasons,
  connectBoundsMs,
  counterNames,
  ERRNO_MAX,
  LISTENERS_MAX,
  mirrorCuts,
} from '#src/proxy/index.js';
import { PUMP_SLOTS, PumpSlot, syscallNames } from '#src/splice/index.js';

function region(): SharedArrayBuffer {
  return new SharedArrayBuffer(COUNTER_REGION_BYTES);
}

t.test('counters: no two names share a slot', async (t) => {
  const counters = new Counters(region());
  const { values } = counters;
  const owners = new Map<number, string>();
  // Whatever a writer adds must change one slot, and one that nobody else has.
  const claim = (name: string, write: () => void): void => {
    const before = values.slice();
    write();
    const changed = [...values.keys()].filter((slot) => values[slot] !== before[slot]);
    if (changed.length !== 1) t.fail(`${name} changed ${changed.length} slots`);
    for (const slot of changed) {
      const owner = owners.get(slot);
      if (owner !== undefined) t.fail(`${name} has the slot of ${owner}`);
      owners.set(slot, name);
    }
  };
  for (const name of counterNames) claim(name, () => values[Counter[name]]!++);
  for (const [name, slot] of Object.entries(PumpSlot)) {
    claim(`up ${name}`, () => counters.up[slot]!++);
    claim(`down ${name}`, () => counters.down[slot]!++);
  }
  for (const syscall of syscallNames) {
    for (const errno of [1, 2, 4, 11, 12, 24, 32, 104, 115, ERRNO_MAX - 1, ERRNO_MAX]) {
      claim(`${syscall} ${errno}`, () => counters.countError(syscall, errno));
    }
  }
  for (const listener of [0, 1, 2, 100, LISTENERS_MAX - 1]) {
    for (const reason of closeReasons) {
      const active = counters.activeOf(listener);
      const flows = values[Counter.flows_active];
      claim(`listener ${listener} closed ${reason}`, () => {
        const before = counters.activeOf(listener);
        counters.countClosed(listener, reason);
        // The gauges go down with it; put back, they are no part of the claim.
        values[Counter.flows_active]!++;
        restoreActive(counters, listener, before);
      });
      t.equal(counters.activeOf(listener), active);
      t.equal(values[Counter.flows_active], flows);
    }
  }
  for (const listener of [0, 1, LISTENERS_MAX - 1]) {
    claim(`listener ${listener} mirrored`, () => counters.countMirrored(listener));
    for (const reason of mirrorCuts) {
      claim(`listener ${listener} cut ${reason}`, () => counters.countMirrorCut(listener, reason));
    }
  }
  for (const elapsedMs of [...connectBoundsMs, Number.MAX_SAFE_INTEGER]) {
    claim(`connected within ${elapsedMs} ms`, () => {
      const { connect_microseconds: sum } = Counter;
      const before = values[sum]!;
      counters.countConnected(elapsedMs);
      values[sum] = before;
    });
  }
  t.pass(`${owners.size} slots`);
});

/** Accepting and nothing else: undone but for the active gauge. */
function restoreActive(counters: Counters, listener: number, active: number): void {
  const index = [...counters.values.keys()].find((slot) => {
    const value = counters.values[slot]!;
    counters.values[slot] = value + 0.5;
    const isIt = counters.activeOf(listener) !== active - 1;
    counters.values[slot] = value;
    return isIt;
  });
  counters.values[index!] = active;
}

t.test('counters: every error of every call has a slot of its own', async (t) => {
  const counters = new Counters(region());
  for (const [index, syscall] of syscallNames.entries()) {
    for (let errno = 1; errno <= ERRNO_MAX; errno++) {
      for (let times = (index * 7 + errno) % 5; times >= 0; times--) {
        counters.countError(syscall, errno);
      }
    }
  }
  for (const [index, syscall] of syscallNames.entries()) {
    for (let errno = 1; errno <= ERRNO_MAX; errno++) {
      const expected = ((index * 7 + errno) % 5) + 1;
      if (counters.errorCount(syscall, errno) !== expected) t.fail(`${syscall} ${errno}`);
    }
  }
  t.pass();
});

t.test('counters: error numbers beyond the table share its last slot', async (t) => {
  const counters = new Counters(region());
  counters.countError('recv', 4000);
  t.equal(counters.errorCount('recv', ERRNO_MAX), 1);
  t.equal(counters.errorCount('send', ERRNO_MAX), 0);
  const total = counters.values.reduce((sum, value) => sum + value, 0);
  t.equal(total, 1, 'and no other');
});

t.test('counters: flows are counted by listener, coming and going', async (t) => {
  const counters = new Counters(region());
  for (let listener = 0; listener < LISTENERS_MAX; listener++) {
    for (let times = 0; times <= listener % 3; times++) counters.countAccepted(listener);
  }
  for (let listener = 0; listener < LISTENERS_MAX; listener++) {
    const accepted = (listener % 3) + 1;
    t.equal(counters.acceptedBy(listener), accepted);
    for (const reason of closeReasons) counters.countClosed(listener, reason);
    t.equal(counters.activeOf(listener), accepted - closeReasons.length);
    for (const reason of closeReasons) {
      if (counters.closedOf(listener, closeReasons.indexOf(reason)) !== 1)
        t.fail(`${listener} ${reason}`);
    }
  }
});

t.test('counters: listeners beyond the table share its last region', async (t) => {
  const counters = new Counters(region());
  counters.countAccepted(LISTENERS_MAX + 50);
  t.equal(counters.acceptedBy(LISTENERS_MAX - 1), 1);
  t.equal(counters.activeOf(LISTENERS_MAX + 1), 1);
  t.equal(counters.values[Counter.flows_active], 1);
});

t.test('counters: what one side writes the other reads', async (t) => {
  const memory = region();
  const writer = new Counters(memory);
  const reader = new Counters(memory);
  writer.values[Counter.events]! += 3;
  writer.up[PumpSlot.SpliceBytes]! += 2 ** 40;
  writer.countError('splice', 22);
  t.equal(reader.values[Counter.events], 3);
  t.equal(reader.up[PumpSlot.SpliceBytes], 2 ** 40);
  t.equal(reader.errorCount('splice', 22), 1);
  t.equal(reader.up.length, PUMP_SLOTS);
});

t.test('counters: a dead worker keeps what it counted and loses what it had', async (t) => {
  const region = new SharedArrayBuffer(COUNTER_REGION_BYTES);
  const counters = new Counters(region);
  counters.countAccepted(3);
  counters.countAccepted(3);
  counters.countClosed(3, 'done');
  counters.values[Counter.pipes_in_use] = 5;
  counters.values[Counter.loop_turns] = 7;
  t.equal(counters.nextFlowSequence(), 1);
  counters.forgetWorker();
  t.equal(counters.flowsLost, 1, 'flow that was open');
  t.equal(counters.values[Counter.flows_active], 0);
  t.equal(counters.activeOf(3), 0);
  t.equal(counters.acceptedBy(3), 2);
  t.equal(counters.closedOf(3, closeReasons.indexOf('worker_died')), 1);
  t.equal(counters.values[Counter.pipes_in_use], 0);
  t.equal(counters.values[Counter.loop_turns], 7);
  t.equal(new Counters(region).nextFlowSequence(), 2, 'its successor goes on');
});
