/**
 * What a worker has to say, on its way to the control thread: lines of pino, and access lines, which are made here
 * because there may be one for every request.
 */
export { AccessLog, type LineSink } from './access-log.js';
export { JsonLines } from './json-lines.js';
export { type LineKeeper, LineMemory } from './line-memory.js';
export { LogBatch } from './log-batch.js';
