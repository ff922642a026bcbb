import t from 'tap';
import { buildMaglevTable } from '#src/proxy/upstream/policy/maglev-table.js';
import { pool, type TestCandidate } from './pool.js';

const ones = (count: number) => pool(...Array<number>(count).fill(1));

/** Identities by place. */
const owners = (members: readonly TestCandidate[]) =>
  [...buildMaglevTable(members)].map((index) => members[index]!.identity);

function counts(members: readonly TestCandidate[]): number[] {
  const result = members.map(() => 0);
  for (const index of buildMaglevTable(members)) result[index]!++;
  return result;
}

t.test('maglev: every place has an owner, and equals own the same', async (t) => {
  for (const count of [1, 2, 3, 40, 41, 100]) {
    const owned = counts(ones(count));
    t.equal(
      owned.reduce((sum, one) => sum + one, 0),
      count <= 40 ? 4099 : 65_537,
    );
    t.ok(Math.max(...owned) - Math.min(...owned) <= 1, `${count} members`);
  }
});

t.test('maglev: weights are kept to within a place a member', async (t) => {
  const weights = [1, 2, 3, 10, 0.5];
  const owned = counts(pool(...weights));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  weights.forEach((weight, index) => {
    const wanted = (4099 * weight) / total;
    t.ok(Math.abs(owned[index]! - wanted) <= 10, `${owned[index]} owned, ${wanted} wanted`);
  });
});

t.test('maglev: nobody, nobody with a weight, and one without', async (t) => {
  t.equal(buildMaglevTable([]).length, 0);
  t.equal(buildMaglevTable(pool(0, 0)).length, 0);
  t.same(counts(pool(0, 1)), [0, 4099]);
});

t.test('maglev: the same address twice is two members', async (t) => {
  const [first] = ones(1);
  const owned = counts([first!, ...ones(1)]);
  t.ok(Math.abs(owned[0]! - owned[1]!) <= 1);
});

for (const count of [5, 20, 60]) {
  t.test(`maglev: one of ${count} leaves, and little else moves`, async (t) => {
    const members = ones(count);
    const before = owners(members);
    let movedMax = 0;
    for (const gone of [0, Math.floor(count / 2), count - 1]) {
      const after = owners(members.filter((_, index) => index !== gone));
      const identity = members[gone]!.identity;
      // Places whose owner stayed, and that changed hands all the same.
      const moved = before.filter((one, place) => one !== identity && one !== after[place]).length;
      movedMax = Math.max(movedMax, moved / before.length);
    }
    t.ok(movedMax < 0.06, `${(movedMax * 100).toFixed(1)} % moved besides its own share`);
    t.comment(`${count} members: ${(movedMax * 100).toFixed(2)} % moved needlessly`);
  });

  t.test(`maglev: one comes to ${count}, and little else moves`, async (t) => {
    const members = ones(count + 1);
    const before = owners(members.slice(0, count));
    const after = owners(members);
    const newcomer = members[count]!.identity;
    if (before.length !== after.length) return;
    const moved = before.filter((one, place) => one !== after[place] && after[place] !== newcomer);
    t.ok(moved.length / before.length < 0.06, `${moved.length} of ${before.length}`);
  });
}

t.test('maglev: a thousand members are placed in a moment', async (t) => {
  const startMs = performance.now();
  const owned = counts(ones(1000));
  const elapsedMs = performance.now() - startMs;
  t.ok(Math.max(...owned) - Math.min(...owned) <= 1);
  t.ok(elapsedMs < 1000, `${elapsedMs.toFixed()} ms`);
});
