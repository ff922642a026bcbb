// The congestion controls of TCP that this kernel has, and those that anybody may have (ip-sysctl.rst).
import { readFileSync } from 'node:fs';

/** In the kernel's order; at least one. */
export function congestionControls(which: 'available' | 'allowed'): string[] {
  const file = `/proc/sys/net/ipv4/tcp_${which}_congestion_control`;
  return readFileSync(file, 'utf8').trim().split(' ');
}
