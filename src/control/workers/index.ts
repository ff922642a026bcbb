/**
 * Data threads, seen from outside: the thread and what is said to it (`data-thread.ts`, `questions.ts`), and the place it
 * fills (`worker-slot.ts`), which keeps what outlives it and starts a successor when it dies.
 */
export { endFlow, listFlows } from './live-flows.js';
export { NoAnswer } from './questions.js';
export { WorkerSlot } from './worker-slot.js';
