import t from 'tap';
import { RestartDelay } from '#src/control/restart-delay.js';

t.test('restart delay: doubles from 100 ms to 5 s', async (t) => {
  const delay = new RestartDelay();
  const delays = Array.from({ length: 8 }, () => delay.next(10));
  t.same(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
});

t.test('restart delay: a minute of life is forgiven', async (t) => {
  const delay = new RestartDelay();
  for (let death = 0; death < 5; death++) delay.next(59_999);
  t.equal(delay.next(60_000), 100);
  t.equal(delay.next(10), 200);
});
