/**
 * Calls of many sockets made in one system call, by io_uring(7): what can be asked for, the queue it goes through,
 * and who waits for his turn. Nothing in here waits for anything else: a batch is over when its call returns.
 */
export type { CallBatch } from './call-batch.js';
export type { LateCloses } from './late-closes.js';
export { type LateSender, LateWrite } from './late-write.js';
export type { LateWriter, LateWrites } from './late-writes.js';
export type { ReaderAhead, ReadsAhead } from './reads-ahead.js';
export { RingBatch } from './ring-batch.js';
export { SerialBatch } from './serial-batch.js';
