// What every policy has to do, run against each of them.
import t, { type Test } from 'tap';
import { type Balance, createPolicy } from '#src/proxy/upstream/policy/index.js';
import type { Policy } from '#src/proxy/upstream/policy/policy.js';
import { Random } from '../../../support/random.js';
import { pool, shares, type TestCandidate } from './pool.js';

const ROUNDS = 20_000;

interface Kind {
  readonly name: string;
  readonly balance: Balance;
  /** How far a share may be from what the weight says, as a part of the whole. */
  readonly tolerance: number;
}

const kinds: readonly Kind[] = [
  { name: 'round_robin', balance: 'round_robin', tolerance: 0.0005 },
  { name: 'least_connections', balance: 'least_connections', tolerance: 0.0005 },
  { name: 'random_two', balance: 'random_two', tolerance: 0.01 },
  { name: 'hash', balance: { hash: 'source_ip' }, tolerance: 0.015 },
];

for (const kind of kinds) {
  t.test(kind.name, async (t) => {
    const create = (members: readonly TestCandidate[], seed = 1) =>
      createPolicy(kind.balance, members, seed);
    for (const weights of [
      [1, 1, 1],
      [5, 1, 1],
      [1, 2, 3, 4],
      [0.5, 1.5],
      [100, 1],
    ]) {
      t.test(`shares as the weights ${weights} say`, async (t) => {
        const members = pool(...weights);
        expectShares(t, members, choose(create(members), ROUNDS), kind.tolerance);
      });
      t.test(`shares as the weights ${weights} say, while connections stay`, async (t) => {
        const members = pool(...weights);
        const chosen = choose(create(members), ROUNDS, (member) => member.active++);
        expectShares(t, members, chosen, kind.tolerance);
      });
    }

    t.test('those that are not available are passed over, and the others share', async (t) => {
      const members = pool(1, 2, 3, 4);
      members[1]!.isAvailable = false;
      const available = members.filter(({ isAvailable }) => isAvailable);
      const chosen = choose(create(members), ROUNDS);
      t.notOk(chosen.includes(members[1]));
      expectShares(t, available, chosen, kind.tolerance * 2);
    });

    t.test('availability is asked for each time', async (t) => {
      const members = pool(1, 1);
      const policy = create(members);
      for (let round = 0; round < 100; round++) {
        const [on, off] = [round & 1, 1 - (round & 1)];
        members[on]!.isAvailable = true;
        members[off]!.isAvailable = false;
        t.equal(policy.select(round), members[on]);
      }
    });

    t.test('none is available', async (t) => {
      const members = pool(1, 1, 1);
      for (const member of members) member.isAvailable = false;
      const policy = create(members);
      t.equal(policy.select(7), undefined);
      members[2]!.isAvailable = true;
      t.equal(policy.select(7), members[2], 'and then one is');
    });

    t.test('there is nobody', async (t) => {
      t.equal(create([]).select(7), undefined);
    });

    t.test('one is always the one', async (t) => {
      const members = pool(3);
      t.ok(choose(create(members), 100).every((one) => one === members[0]));
    });

    t.test('one of many is always found', async (t) => {
      const members = pool(...Array<number>(200).fill(1));
      for (const member of members) member.isAvailable = false;
      const policy = create(members);
      for (const only of [0, 1, 99, 199]) {
        members[only]!.isAvailable = true;
        for (let key = 0; key < 50; key++) {
          if (policy.select(key) !== members[only]) t.fail(`key ${key} did not find ${only}`);
        }
        members[only]!.isAvailable = false;
      }
    });

    t.test('a weight that grows gets what it has grown to', async (t) => {
      const members = pool(1, 1);
      members[1]!.weight = 250;
      const chosen = choose(create(members), ROUNDS);
      const [, share] = shares(members, chosen);
      t.ok(Math.abs(share! - 0.2) <= kind.tolerance, `${share}, wanted 0.2`);
    });

    t.test('the same seed makes the same choices', async (t) => {
      const one = choose(create(pool(1, 2, 3), 42), 1000).map((member) => member?.identity);
      const other = choose(create(pool(1, 2, 3), 42), 1000).map((member) => member?.identity);
      t.same(one, other);
    });

    t.test('an endpoint that comes back is not flooded', async (t) => {
      const members = pool(1, 1, 1);
      const policy = create(members);
      members[0]!.isAvailable = false;
      choose(policy, 1000);
      members[0]!.isAvailable = true;
      const [share] = shares(members, choose(policy, 300));
      t.ok(share! < 0.45, `${share} of the first 300`);
    });
  });
}

function choose(
  policy: Policy<TestCandidate>,
  rounds: number,
  take: (member: TestCandidate) => void = () => {},
): (TestCandidate | undefined)[] {
  const random = new Random(11);
  return Array.from({ length: rounds }, () => {
    const member = policy.select(random.between(0, 0xffffffff));
    if (member !== undefined) take(member);
    return member;
  });
}

function expectShares(
  t: Test,
  members: readonly TestCandidate[],
  chosen: readonly (TestCandidate | undefined)[],
  tolerance: number,
): void {
  const total = members.reduce((sum, { weight }) => sum + weight, 0);
  shares(members, chosen).forEach((share, index) => {
    const wanted = members[index]!.weight / total;
    t.ok(Math.abs(share - wanted) <= tolerance, `${share} chosen, ${wanted} wanted`);
  });
}
