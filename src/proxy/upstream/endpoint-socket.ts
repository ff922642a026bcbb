import {
  Errno,
  type Kernel,
  openConnection,
  peerAddress,
  TransparentSource,
} from '../../splice/index.js';
import type { Endpoint } from './endpoint.js';

/** Where descriptors may be had when there are no others. */
interface DescriptorSource {
  readonly kernel: Kernel;
  freeDescriptors(): boolean;
}

/**
 * Begins to connect to an endpoint.
 *
 * @param delaysAcks as for {@link openConnection}
 * @param clientFd the client whose address the endpoint is to see; nothing for that of this machine
 * @returns a non-blocking socket, connected or connecting, or a negative error number
 */
export function openEndpointSocket(
  room: DescriptorSource,
  endpoint: Endpoint,
  delaysAcks: boolean,
  clientFd?: number,
): number {
  const { kernel } = room;
  const disguise = clientFd === undefined ? undefined : addressOf(kernel, clientFd);
  const { sockaddr, plan } = endpoint;
  const open = () => openConnection(kernel, sockaddr, plan, disguise, delaysAcks);
  const fd = open();
  if (fd !== -Errno.EMFILE && fd !== -Errno.ENFILE) return fd;
  return room.freeDescriptors() ? open() : fd;
}

/** Of a client that has an address, and still has it. */
function addressOf(kernel: Kernel, fd: number): TransparentSource | undefined {
  const address = peerAddress(kernel, fd);
  if (address === undefined || address.family === 'unix') return undefined;
  return new TransparentSource(address.family, address.host);
}
