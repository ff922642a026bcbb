import t from 'tap';
import { type Checker, CheckSlots } from '#src/control/health/check-slots.js';

class Visitor implements Checker {
  admissions = 0;

  constructor(
    readonly key: string,
    readonly isDown = false,
  ) {}

  admitted(): void {
    this.admissions++;
  }
}

t.test('check slots: so many at a time, the others in the order they came', async (t) => {
  const slots = new CheckSlots(2);
  const visitors = ['a', 'b', 'c', 'd'].map((key) => new Visitor(key));
  const inside = () => visitors.map(({ admissions }) => admissions);
  for (const visitor of visitors) slots.enter(visitor);
  t.same(inside(), [1, 1, 0, 0]);
  slots.leave(visitors[1]!);
  t.same(inside(), [1, 1, 1, 0]);
  slots.leave(visitors[1]!);
  t.same(inside(), [1, 1, 1, 0], 'leaving twice frees nothing');
  slots.leave(visitors[0]!);
  t.same(inside(), [1, 1, 1, 1]);
});

t.test('check slots: never two with one key, and nobody waits behind them', async (t) => {
  const slots = new CheckSlots(2);
  const [one, same, other] = [new Visitor('a'), new Visitor('a'), new Visitor('b')];
  for (const visitor of [one, same, other]) slots.enter(visitor);
  t.same([one.admissions, same.admissions, other.admissions], [1, 0, 1]);
  slots.leave(other);
  t.equal(same.admissions, 0);
  slots.leave(one);
  t.equal(same.admissions, 1);
});

t.test('check slots: whoever stops waiting is not let in', async (t) => {
  const slots = new CheckSlots(1);
  const [one, other] = [new Visitor('a'), new Visitor('b')];
  slots.enter(one);
  slots.enter(other);
  slots.leave(other);
  slots.leave(one);
  t.equal(other.admissions, 0);
});

t.test('check slots: after the end nobody is let in', async (t) => {
  const slots = new CheckSlots(1);
  const [one, other, late] = [new Visitor('a'), new Visitor('b'), new Visitor('c')];
  slots.enter(one);
  slots.enter(other);
  slots.close();
  slots.leave(one);
  slots.enter(late);
  t.same([other.admissions, late.admissions], [0, 0]);
});

t.test('check slots: those who are down have half of them, in the order they came', async (t) => {
  const slots = new CheckSlots(4);
  const names = (all: readonly Visitor[]) =>
    all.filter(({ admissions }) => admissions > 0).map(({ key }) => key);
  const down = ['a', 'b', 'c', 'd'].map((key) => new Visitor(key, true));
  const up = ['1', '2', '3', '4'].map((key) => new Visitor(key));
  for (const visitor of [...down, ...up]) slots.enter(visitor);
  t.same(
    names([...down, ...up]),
    ['a', 'b', '1', '2'],
    'and no more, however few others there are',
  );
  slots.leave(up[0]!);
  t.same(names([...down, ...up]), ['a', 'b', '1', '2', '3'], 'nobody who is up waits behind them');
  slots.leave(down[1]!);
  t.same(names([...down, ...up]), ['a', 'b', 'c', '1', '2', '3'], 'who came first comes first');
  for (const visitor of up) slots.leave(visitor);
  slots.leave(down[3]!);
  slots.leave(down[0]!);
  t.same(
    names([...down, ...up]),
    ['a', 'b', 'c', '1', '2', '3', '4'],
    'whoever left the line is not let in',
  );
});

t.test('check slots: with a single one, those who are down have their turn', async (t) => {
  const slots = new CheckSlots(1);
  const [down, up] = [new Visitor('a', true), new Visitor('1')];
  slots.enter(down);
  slots.enter(up);
  t.same([down.admissions, up.admissions], [1, 0]);
  slots.leave(down);
  slots.enter(down);
  t.same([down.admissions, up.admissions], [1, 1]);
  slots.leave(up);
  t.equal(down.admissions, 2);
});
