import { Errno, type Kernel, openConnection, type PipePool } from '../../splice/index.js';
import type { Endpoint } from './endpoint.js';

/**
 * Begins to connect to an endpoint.
 *
 * @param pipes where descriptors may be had when there are no others
 * @returns a non-blocking socket, connected or connecting, or a negative error number
 */
export function openEndpointSocket(kernel: Kernel, pipes: PipePool, endpoint: Endpoint): number {
  const fd = openConnection(kernel, endpoint.sockaddr);
  if (fd !== -Errno.EMFILE && fd !== -Errno.ENFILE) return fd;
  // Pipes nobody uses are descriptors, too.
  return pipes.releaseIdle() > 0 ? openConnection(kernel, endpoint.sockaddr) : fd;
}
