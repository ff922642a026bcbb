/**
 * Capturing, the data thread's part: a {@link CapturedTransport} stands before a client's transport and shows
 * what passes to a {@link FlowCapture}, which hands it to the worker's {@link CaptureLane}. Nothing here touches
 * a disk or waits for anybody: what is small is copied into shared memory, what is spliced is duplicated with
 * tee(2) into pipes, and the capture thread (control/capture) takes it from there. When it does not keep up,
 * a flow's capture ends, never the flow.
 */
export { type CaptureNote, captureNote } from './capture-note.js';
export {
  type CaptureDirection,
  type CaptureSnapshot,
  captureDirections,
  type IncompleteReason,
  incompleteReasons,
} from './capture-terms.js';
export { CapturedTransport } from './captured-transport.js';
export { FlowCapture } from './flow-capture.js';
export { CaptureLane } from './lane.js';
export {
  type CaptureLaneMemory,
  ENTRIES,
  ENTRY_SLOTS,
  EntryKind,
  LANE_BYTES,
  LANE_PIPES,
  LaneMap,
  LaneSlot,
  LaneState,
  PIPE_CAPACITY,
  PIPE_CONSUMED,
  PIPE_READ_END,
  PIPE_WRITE_END,
  pipeSlot,
} from './lane-map.js';
export { RecorderBell } from './recorder-bell.js';
