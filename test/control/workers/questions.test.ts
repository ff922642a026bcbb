import t from 'tap';
import { NoAnswer, Questions } from '#src/control/workers/questions.js';
import type { WorkerAnswer } from '#src/proxy/index.js';

function ended(id: number, found = true): WorkerAnswer {
  return { type: 'flowEnded', id, found };
}

t.test('questions: each gets its own answer, in whatever order they come', async (t) => {
  const questions = new Questions('worker 0');
  const ids: number[] = [];
  const ask = () => questions.ask((id) => ids.push(id));
  const [first, second] = [ask(), ask()];
  questions.answer(ended(ids[1]!, false));
  questions.answer(ended(ids[0]!, true));
  t.match(await first, { found: true });
  t.match(await second, { found: false });
});

t.test('questions: one that is not answered in time is given up', async (t) => {
  const questions = new Questions('worker 3', 30);
  let asked = 0;
  const question = questions.ask((id) => {
    asked = id;
  });
  await t.rejects(question, new NoAnswer('worker 3 did not answer within 30 ms'));
  questions.answer(ended(asked));
  t.pass('an answer that comes too late is dropped');
});

t.test('questions: a worker that is gone answers none', async (t) => {
  const questions = new Questions('worker 1');
  const open = [questions.ask(() => {}), questions.ask(() => {})];
  questions.abandon();
  t.strictSame(await Promise.all(open), [undefined, undefined]);
});
