import t from 'tap';
import { Attempts, Selection, type Waiter } from '#src/proxy/upstream/index.js';
import { type RigSettings, UpstreamRig } from './rig.js';

/** A flow as far as the queue can tell. */
class Visitor implements Waiter {
  readonly attempts: Attempts;
  outcome: 'waiting' | 'served' | 'refused' | 'turned away' | 'failed' = 'waiting';
  /** Throws when it is called. */
  isBroken = false;
  calls = 0;

  constructor(
    private readonly served: Visitor[],
    rig: UpstreamRig,
    worker: number,
  ) {
    this.attempts = new Attempts(rig.upstreams[worker]!, 0);
  }

  come(): void {
    const selection = this.attempts.next();
    if (selection !== Selection.Full) this.take(selection);
    else if (!this.attempts.wait(this)) this.outcome = 'turned away';
  }

  leave(): void {
    this.attempts.end();
  }

  onEndpointFree(): void {
    this.calls++;
    if (this.isBroken) throw new Error('broken');
    const selection = this.attempts.next();
    if (selection !== Selection.Full) this.take(selection);
  }

  onException(): void {
    this.outcome = 'failed';
    this.attempts.end();
  }

  private take(selection: unknown): void {
    this.outcome = selection === Selection.None ? 'refused' : 'served';
    if (this.outcome === 'served') this.served.push(this);
  }
}

class Scene {
  readonly rig: UpstreamRig;
  readonly served: Visitor[] = [];

  constructor(settings: RigSettings = {}, endpoints = 1) {
    this.rig = new UpstreamRig(Array(endpoints).fill({}), {
      connectionsPerEndpoint: 1,
      ...settings,
    });
  }

  /** Somebody comes, and is served or waits. */
  visitor(worker = 0): Visitor {
    const visitor = new Visitor(this.served, this.rig, worker);
    visitor.come();
    return visitor;
  }

  visitors(count: number, worker = 0): Visitor[] {
    return Array.from({ length: count }, () => this.visitor(worker));
  }

  get waiting(): number {
    return this.rig.table.waiting(this.rig.snapshot.slot);
  }
}

const outcomes = (visitors: readonly Visitor[]) => visitors.map(({ outcome }) => outcome);

t.test('queue: first come, first served', async (t) => {
  const scene = new Scene();
  const all = scene.visitors(5);
  t.same(outcomes(all), ['served', 'waiting', 'waiting', 'waiting', 'waiting']);
  t.equal(scene.waiting, 4);
  for (let round = 0; round < 5; round++) {
    scene.served[round]!.leave();
    scene.rig.clock.turn();
  }
  t.same(scene.served, all);
  t.equal(scene.waiting, 0);
  t.equal(scene.rig.reading(0).active, 0);
});

t.test('queue: a place goes to the next in line, not to the next who comes', async (t) => {
  const scene = new Scene();
  const [first, second] = scene.visitors(2);
  first!.leave();
  const third = scene.visitor();
  t.equal(third.outcome, 'waiting');
  scene.rig.clock.turn();
  t.equal(second!.outcome, 'served');
  t.equal(third.outcome, 'waiting');
});

t.test('queue: whoever leaves, from wherever, is not called', async (t) => {
  const scene = new Scene();
  const all = scene.visitors(6);
  for (const index of [1, 3, 5]) all[index]!.leave();
  t.equal(scene.waiting, 2);
  all[5]!.leave();
  t.equal(scene.waiting, 2, 'leaving twice is leaving once');
  for (const index of [0, 2, 4]) {
    all[index]!.leave();
    scene.rig.clock.turn();
  }
  t.same(scene.served, [all[0], all[2], all[4]]);
  t.same(
    all.map(({ calls }) => calls > 0),
    [false, false, true, false, true, false],
  );
});

t.test('queue: bounded, over all workers', async (t) => {
  const scene = new Scene({ queueMax: 3, workers: 2 });
  scene.visitor();
  t.same(outcomes([...scene.visitors(2, 0), ...scene.visitors(2, 1)]), [
    'waiting',
    'waiting',
    'waiting',
    'turned away',
  ]);
  t.equal(scene.waiting, 3);
});

t.test('queue: none at all', async (t) => {
  const scene = new Scene({ queueMax: 0 });
  t.same(outcomes(scene.visitors(2)), ['served', 'turned away']);
});

t.test('queue: several places at once serve several', async (t) => {
  const scene = new Scene({}, 3);
  const all = scene.visitors(8);
  for (const visitor of all.slice(0, 3)) visitor.leave();
  scene.rig.clock.turn();
  t.same(scene.served, all.slice(0, 6));
});

t.test('queue: what another worker gives back is found by looking', async (t) => {
  const scene = new Scene({ workers: 2 });
  const [theirs, mine] = [scene.visitor(1), scene.visitor(0)];
  t.equal(mine.outcome, 'waiting');
  theirs.leave();
  scene.rig.clock.turn();
  t.equal(mine.outcome, 'waiting', 'nobody rings');
  scene.rig.clock.pass(70);
  t.equal(mine.outcome, 'served');
});

t.test('queue: looks only while somebody waits', async (t) => {
  const scene = new Scene();
  const { wheel } = scene.rig.clock;
  const [, waiter] = scene.visitors(2);
  t.equal(wheel.size, 1);
  scene.rig.clock.pass(200);
  t.equal(wheel.size, 1);
  t.ok(waiter!.calls >= 3 && waiter!.calls <= 10, `${waiter!.calls} looks in 200 ms`);
  waiter!.leave();
  t.equal(wheel.size, 0);
});

t.test('queue: a busy worker does not starve another', async (t) => {
  const scene = new Scene({ workers: 2 });
  const busy = scene.visitors(200, 0);
  const other = scene.visitor(1);
  // Worker 0 serves one after the other, 5 ms each, and always has somebody waiting.
  let left = 0;
  while (other.outcome === 'waiting' && left < 150) {
    scene.rig.clock.pass(5);
    if (scene.served[left] !== undefined && busy.includes(scene.served[left]!)) {
      scene.served[left++]!.leave();
    }
  }
  t.equal(other.outcome, 'served', `after ${left} of worker 0`);
});

t.test('queue: all endpoints go down while flows wait', async (t) => {
  const scene = new Scene();
  const [, ...waiting] = scene.visitors(5);
  scene.rig.table.setHealth(scene.rig.slot(0), 2);
  scene.rig.clock.pass(100);
  t.same(outcomes(waiting), Array(4).fill('refused'));
  t.equal(scene.waiting, 0);
});

t.test('queue: who throws is out, the others go on', async (t) => {
  const scene = new Scene();
  const [first, broken, third] = scene.visitors(3);
  broken!.isBroken = true;
  first!.leave();
  scene.rig.clock.turn();
  t.equal(broken!.outcome, 'failed');
  t.equal(third!.outcome, 'served');
});

t.test('queue: one who cannot use what is free does not hold up the rest', async (t) => {
  const scene = new Scene({}, 2);
  const [first, second, picky, easy] = scene.visitors(4);
  // The flow in front has tried the first endpoint and wants the other.
  const free = [first!, second!].find(
    ({ attempts }) => attempts.endpoint === scene.rig.upstream.endpoints[0],
  )!;
  picky!.attempts.endpoint = free.attempts.endpoint;
  picky!.attempts.failed(111);
  free.leave();
  scene.rig.clock.turn();
  t.equal(picky!.outcome, 'waiting');
  t.equal(easy!.outcome, 'served');
});

t.test('queue: a thousand come and go in no order', async (t) => {
  const scene = new Scene({ queueMax: 1024 }, 4);
  const all = scene.visitors(1000);
  t.equal(scene.waiting, 996);
  for (let index = 0; index < all.length; index++) {
    all[(index * 617) % 1000]!.leave();
    if (index % 7 === 0) scene.rig.clock.turn();
  }
  scene.rig.clock.turn();
  for (const visitor of all) visitor.leave();
  t.equal(scene.waiting, 0);
  t.equal(scene.rig.upstream.queue.length, 0);
  t.equal(scene.rig.clock.wheel.size, 0);
  for (let index = 0; index < 4; index++) t.equal(scene.rig.reading(index).active, 0);
});
