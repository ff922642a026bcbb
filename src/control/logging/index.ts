/**
 * Where log lines end: the log's descriptor (`log-sink.ts`) and files of access lines (`access-file.ts`). Both are
 * bounded in memory, and neither ever waits for a reader or a disk.
 */
export type { OpenedFile } from './access-file.js';
export { LogSink } from './log-sink.js';
