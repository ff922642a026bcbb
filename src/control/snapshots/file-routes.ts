import type { Config } from '../../config/index.js';
import { Errno, errnoName, type Kernel, openBeneath, openDirectory } from '../../splice/index.js';

/**
 * Makes sure that this kernel can hold files inside a directory, where the configuration has routes that serve
 * any. There is no second way: whatever else resolves paths can be led out by a rename at the right moment.
 *
 * @throws Error where openat2(2) is missing or forbidden
 */
export function checkFileRoutes({ listeners }: Config, kernel: Kernel): void {
  const servesFiles = listeners.some(({ http }) =>
    http?.routes.some(({ action }) => action.kind === 'files'),
  );
  if (!servesFiles) return;
  const directory = openDirectory(kernel, '/');
  const result = directory < 0 ? directory : openBeneath(kernel, directory, '.', 0);
  for (const fd of [directory, result]) if (fd >= 0) kernel.close(fd);
  if (result === -Errno.ENOSYS || result === -Errno.EPERM) {
    throw new Error(
      `openat2: ${errnoName(-result)}: routes with "files" need Linux 5.6, and a seccomp filter that allows it`,
    );
  }
}
