import type { Pump } from '../../splice/index.js';

/**
 * Which way a direction's bytes went; `mixed` when a transfer began by copying, `userland_tls` when
 * OpenSSL had them in its hands.
 */
export type PathTaken = 'none' | 'copy' | 'splice' | 'sendfile' | 'mixed' | 'userland_tls';

/** @param isSecure whether the pump's bytes pass OpenSSL */
export function pathTaken(pump: Pump | undefined, isSecure = false): PathTaken {
  if (pump === undefined || pump.copiedBytes + pump.splicedBytes === 0) return 'none';
  if (isSecure) return 'userland_tls';
  if (pump.splicedBytes === 0) return 'copy';
  return pump.copiedBytes === 0 ? 'splice' : 'mixed';
}

export function bytesMoved(pump: Pump | undefined): number {
  return pump === undefined ? 0 : pump.copiedBytes + pump.splicedBytes;
}
