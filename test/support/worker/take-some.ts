import { unacknowledgedBytes } from '#src/splice/index.js';
import type { RawPeer } from '../sockets/raw-peer.js';
import { pause } from '../sockets/socket-kit.js';
import type { TestRoom } from './worker-room.js';

/**
 * A peer takes some of what waits for it, little by little, until the worker's sockets have got rid of something: kernels
 * acknowledge late, and open a window by more than a byte.
 */
export function takeSome(room: TestRoom, peer: RawPeer): void {
  const before = waitingBytes(room);
  room.until(() => {
    peer.receive(50_000);
    pause(20);
    return waitingBytes(room) < before;
  });
}

/** What the peers of a worker have not acknowledged. */
function waitingBytes({ clock, kernel }: TestRoom): number {
  let bytes = 0;
  for (const handler of clock.registered()) {
    if ('transport' in handler) {
      bytes += unacknowledgedBytes(kernel, (handler.transport as { fd: number }).fd);
    }
  }
  return bytes;
}
