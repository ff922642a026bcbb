import { type Kernel, Socket } from '../../splice/index.js';
import { attachKernelTls, KernelTlsRefusal } from './kernel-tls.js';

let isOffered: boolean | undefined;

/**
 * Whether this kernel has TLS for its sockets; asked once in the life of a thread, which loads the
 * module where that is allowed.
 */
export function offersKernelTls(kernel: Kernel): boolean {
  isOffered ??= asks(kernel);
  return isOffered;
}

/** A socket that is not connected is refused for that reason only by a kernel that knows TLS (tls_init). */
function asks(kernel: Kernel): boolean {
  const fd = kernel.socket(Socket.AF_INET, Socket.SOCK_STREAM | Socket.SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const refusal = attachKernelTls(kernel, fd);
  kernel.close(fd);
  return refusal === KernelTlsRefusal.Closed || refusal === KernelTlsRefusal.None;
}
