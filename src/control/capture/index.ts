/**
 * Capturing, but for the data thread's part (proxy/capture): the control thread's view of it ({@link Captures}), the
 * capture thread, which writes to disks and waits for them (`recorder.ts`), the form of a capture on the disk
 * (`capture-record.ts`, `capture-files.ts`), and what reads it again: {@link listCaptures}, {@link chunksOf}, and the
 * exports.
 */
export { exportRaw, pcapngBytes, rawBytes } from './capture-export.js';
export { type CaptureFileKind, capturePath, isCaptureId } from './capture-files.js';
export type { CaptureChunk, CaptureEnd, CaptureHead } from './capture-record.js';
export { type CaptureStatistics, Captures } from './captures.js';
export { captureChecks } from './directory-check.js';
export { chunksOf, listCaptures, readCapture, type StoredCapture } from './stored-capture.js';
