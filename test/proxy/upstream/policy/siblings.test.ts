// What each policy does in its own way.
import t from 'tap';
import { ConsistentHash } from '#src/proxy/upstream/policy/consistent-hash.js';
import { LeastConnections } from '#src/proxy/upstream/policy/least-connections.js';
import { RandomTwo } from '#src/proxy/upstream/policy/random-two.js';
import { RoundRobin } from '#src/proxy/upstream/policy/round-robin.js';
import { seededRandom } from '#src/proxy/upstream/policy/seeded-random.js';
import { Random } from '../../../support/random.js';
import { pool, type TestCandidate } from './pool.js';

const letters = (members: readonly TestCandidate[], chosen: (TestCandidate | undefined)[]) =>
  chosen.map((one) => 'abcdefgh'[members.indexOf(one!)]).join('');

t.test('round robin: turns are smooth, not in runs', async (t) => {
  const members = pool(5, 1, 1);
  const policy = new RoundRobin(members, 0);
  const chosen = Array.from({ length: 14 }, () => policy.select());
  t.equal(letters(members, chosen), 'aabacaaaabacaa', 'the example of nginx, twice');
});

t.test('round robin: the seed says who begins, and changes nothing else', async (t) => {
  for (let seed = 0; seed < 6; seed++) {
    const members = pool(1, 1, 1);
    const policy = new RoundRobin(members, seed);
    const chosen = Array.from({ length: 6 }, () => policy.select());
    t.equal(letters(members, chosen), 'abcabcabc'.slice(seed % 3, (seed % 3) + 6));
  }
});

t.test('least connections: the emptier one, for its weight', async (t) => {
  const members = pool(1, 2);
  const policy = new LeastConnections(members, 0);
  members[0]!.active = 3;
  members[1]!.active = 6;
  t.equal(policy.select(), members[1], 'equal for their weights: the heavier has the first turn');
  members[1]!.active = 7;
  t.equal(policy.select(), members[0], '7 of 2 is more than 3 of 1');
  members[0]!.active = 4;
  t.equal(policy.select(), members[1], '7 of 2 is less than 4 of 1');
});

t.test('least connections: equals take turns', async (t) => {
  const members = pool(1, 1, 1, 1);
  members[3]!.active = 9;
  const policy = new LeastConnections(members, 0);
  t.equal(
    letters(
      members,
      Array.from({ length: 6 }, () => policy.select()),
    ),
    'abcabc',
  );
});

t.test('least connections: what other workers have is seen', async (t) => {
  const members = pool(1, 1);
  const [mine, theirs] = [new LeastConnections(members, 0), new LeastConnections(members, 0)];
  for (let round = 0; round < 100; round++) {
    mine.select()!.active++;
    theirs.select()!.active++;
  }
  t.same(
    members.map(({ active }) => active),
    [100, 100],
  );
});

t.test('random two: the fuller of two is never chosen', async (t) => {
  const members = pool(1, 1);
  const policy = new RandomTwo(members, seededRandom(1));
  members[0]!.active = 1;
  for (let round = 0; round < 100; round++) t.equal(policy.select(), members[1]);
});

t.test('random two: far more even than one at random', async (t) => {
  const members = pool(...Array<number>(100).fill(1));
  const policy = new RandomTwo(members, seededRandom(5));
  for (let round = 0; round < 10_000; round++) policy.select()!.active++;
  const most = Math.max(...members.map(({ active }) => active));
  t.ok(most <= 106, `${most} where 100 is even; one at random has about 125`);
});

t.test('random two: two seeds make different choices', async (t) => {
  const members = pool(1, 1, 1, 1);
  const [one, other] = [1, 2].map((seed) => {
    const policy = new RandomTwo(members, seededRandom(seed));
    return letters(
      members,
      Array.from({ length: 50 }, () => policy.select()),
    );
  });
  t.not(one, other);
});

const keys = Array.from({ length: 5000 }, (_, index) => index * 7919);

t.test('hash: a key stays where it is', async (t) => {
  const policy = new ConsistentHash(pool(1, 2, 3));
  const before = keys.map((key) => policy.select(key)!.identity);
  t.same(
    keys.map((key) => policy.select(key)!.identity),
    before,
  );
});

t.test('hash: every worker and every machine agrees, whatever the order', async (t) => {
  const members = pool(1, 2, 3, 1, 1);
  const [one, other] = [new ConsistentHash(members), new ConsistentHash([...members].reverse())];
  for (const key of keys) {
    if (one.select(key) !== other.select(key)) t.fail(`key ${key}`);
  }
});

t.test('hash: the map never changes between versions', async (t) => {
  const policy = new ConsistentHash(pool(1, 1, 1, 1));
  const chosen = [0, 1, 2, 3, 1000, 0xffffffff].map((key) => policy.select(key)!.identity);
  t.matchOnlyStrict(chosen, [
    '10.0.0.3:80',
    '10.0.0.3:80',
    '10.0.0.2:80',
    '10.0.0.2:80',
    '10.0.0.1:80',
    '10.0.0.3:80',
  ]);
});

t.test('hash: one that is not available loses its keys, and nobody else any', async (t) => {
  const members = pool(...Array<number>(10).fill(1));
  const policy = new ConsistentHash(members);
  const before = keys.map((key) => policy.select(key)!);
  members[4]!.isAvailable = false;
  const during = keys.map((key) => policy.select(key)!);
  const moved = keys.filter((_, index) => before[index] !== during[index]).length;
  t.equal(moved, before.filter((one) => one === members[4]).length, `${moved} of 5000 keys moved`);
  const takers = members.map(
    (member) =>
      during.filter((one, index) => one === member && before[index] === members[4]).length,
  );
  t.ok(Math.max(...takers) < (moved / 9) * 1.6, `to all the others: ${takers}`);
  members[4]!.isAvailable = true;
  t.same(
    keys.map((key) => policy.select(key)!.identity),
    before.map(({ identity }) => identity),
    'and back home',
  );
});

t.test('hash: one that warms up gets its keys one after the other', async (t) => {
  const members = pool(1, 1, 1);
  const policy = new ConsistentHash(members);
  const home = new Set(keys.filter((key) => policy.select(key) === members[0]));
  let former = new Set<number>();
  for (const weight of [100, 300, 600, 1000]) {
    members[0]!.weight = weight;
    const now = new Set(keys.filter((key) => policy.select(key) === members[0]));
    const atHome = [...now].filter((key) => home.has(key));
    const share = atHome.length / home.size;
    t.ok(Math.abs(share - weight / 1000) < 0.1, `${share} at home with a weight of ${weight}`);
    t.ok(
      [...former].every((key) => now.has(key)),
      'none of them left again',
    );
    former = new Set(atHome);
  }
});

t.test('hash: keys that look alike are spread', async (t) => {
  const members = pool(1, 1, 1, 1);
  const policy = new ConsistentHash(members);
  const random = new Random(3);
  const start = random.between(0, 1 << 30);
  const counts = members.map(() => 0);
  for (let key = start; key < start + 4000; key++) counts[members.indexOf(policy.select(key)!)]!++;
  t.ok(Math.min(...counts) > 900 && Math.max(...counts) < 1100, `${counts}`);
});
