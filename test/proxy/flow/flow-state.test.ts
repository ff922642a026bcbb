import t from 'tap';
import { FlowState, successors } from '#src/proxy/flow/flow-state.js';

const states = Object.values(FlowState);

t.test(
  'flow state: every state says what may follow it, and nothing follows the last',
  async (t) => {
    t.same(Object.keys(successors).map(Number), states);
    t.same(successors[FlowState.closed], []);
  },
);

t.test('flow state: every state is reached from the first', async (t) => {
  const reached = new Set<FlowState>([FlowState.accepted]);
  for (const state of reached) for (const next of successors[state]) reached.add(next);
  t.same([...reached].sort(), states);
});

t.test('flow state: whatever happens, a flow can close, and only by way of closing', async (t) => {
  for (const state of states) {
    const isOver = state === FlowState.closing || state === FlowState.closed;
    t.equal(successors[state].includes(FlowState.closing), !isOver, `from ${state}`);
    t.equal(successors[state].includes(FlowState.closed), state === FlowState.closing);
  }
});

t.test(
  'flow state: a flow goes back only once its head was read, or its client secured',
  async (t) => {
    for (const state of states) {
      for (const next of successors[state]) {
        const isBack = next < state;
        const mayGoBack = state === FlowState.readingHead || state === FlowState.securing;
        t.equal(isBack, mayGoBack && next === FlowState.accepted);
      }
    }
  },
);
