import { Errno, type Kernel, Misc, NativeMemory, orThrow } from '../../splice/index.js';

/** The number of capset(2), which the C library does not declare; asm/unistd_64.h, asm-generic/unistd.h. */
const SYS_CAPSET = process.arch === 'x64' ? 126 : 91;
/** linux/capability.h */
const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
const CAP_NET_BIND_SERVICE = 1 << 10;

/**
 * Keeps one capability of root over a change of the user: ports below 1024. Capabilities belong to
 * threads; this is about the calling one and those it will start.
 *
 * @returns to be called after the change: takes back what a change makes sleep, and nothing else
 */
export function keepBindService(kernel: Kernel): () => void {
  orThrow(kernel.prctl(Misc.PR_SET_KEEPCAPS, 1), 'prctl PR_SET_KEEPCAPS');
  return () => {
    // struct __user_cap_header_struct, with pid 0 for this thread; then two of __user_cap_data_struct:
    // effective, permitted, inheritable, first of capabilities below 32, then of the others.
    const header = new NativeMemory(8);
    header.bytes.writeUInt32LE(LINUX_CAPABILITY_VERSION_3, 0);
    const data = new NativeMemory(24);
    data.bytes.writeUInt32LE(CAP_NET_BIND_SERVICE, 0);
    data.bytes.writeUInt32LE(CAP_NET_BIND_SERVICE, 4);
    const result = kernel.syscall(SYS_CAPSET, header.address, data.address, 0, 0);
    // EPERM: a root without the capability, as containers have it. Then there is nothing to keep.
    if (result !== -Errno.EPERM) orThrow(result, 'capset');
  };
}
