import type { Socket } from 'node:net';

/** Resolves once `socket` is closed, whatever for. (`once(socket, 'close')` rejects where a reset was the end.) */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}
