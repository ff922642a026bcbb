/**
 * One client's connection and the upstream's made for it, over TCP as it is: its states (`flow-state.ts`), what it
 * begins with (`flow-opening.ts`), and the tunnel of two pumps it becomes (`tunnel.ts`). Heads, sides and tunnels are
 * also what HTTP connections are made of: one may begin with a PROXY header, and ends as a tunnel when it is upgraded.
 */
export { round } from './access-line.js';
export {
  type DirectionState,
  type DirectionStatus,
  describeDirection,
} from './direction-status.js';
export { Flow } from './flow.js';
export { FlowHead, flowKey } from './flow-head.js';
export { FlowSide, type SideOwner } from './flow-side.js';
export { bytesMoved, type PathTaken, pathTaken } from './path-taken.js';
export { isPeerGone, Tunnel } from './tunnel.js';
export { type TunnelOwner, TunnelTask } from './tunnel-task.js';
