import type { Pump } from '../../splice/index.js';
import { bytesMoved, type PathTaken, pathTaken } from './path-taken.js';

/** `waiting`: nothing to move; `blocked`: bytes wait for the other side; `ended`: its FIN was passed on. */
export type DirectionState = 'none' | 'waiting' | 'blocked' | 'ended';

/** One direction of a live session. */
export interface DirectionStatus {
  readonly bytes: number;
  readonly path: PathTaken;
  readonly state: DirectionState;
}

/** @param isSecure whether the pump's bytes pass OpenSSL */
export function describeDirection(
  pump: Pump | undefined,
  isOver: boolean,
  isSecure = false,
): DirectionStatus {
  const path = pathTaken(pump, isSecure);
  return { bytes: bytesMoved(pump), path, state: directionState(pump, isOver) };
}

function directionState(pump: Pump | undefined, isOver: boolean): DirectionState {
  if (pump === undefined) return 'none';
  if (isOver) return 'ended';
  return pump.isHolding ? 'blocked' : 'waiting';
}
