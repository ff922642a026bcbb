import { Errno, type Kernel, NativeMemory, SocketOption } from '../../splice/index.js';
import { type CipherSuite, type TrafficKey, wipe } from '../protocol/index.js';
import { TlsOption } from './control-record.js';
import { CRYPTO_INFO_BYTES_MAX, writeCryptoInfo } from './crypto-info.js';

/**
 * Why a direction of a connection is not the kernel's. The names are for metrics and log lines; a
 * {@link KernelTlsRefusal} is a position among them.
 */
export const kernelTlsRefusals = [
  'none',
  'off',
  'no_module',
  'not_tcp',
  'cipher',
  'version',
  'not_offered',
  'partial_record',
  'pending_data',
  'no_secret',
  'unknown_sequence',
  'closed',
  'memory',
  'error',
] as const;

export const KernelTlsRefusal = {
  /** It is the kernel's. */
  None: 0,
  /** The configuration says `off`. */
  Off: 1,
  /** The kernel has no module `tls`, or may not load it. */
  NoModule: 2,
  /** A unix socket. */
  NotTcp: 3,
  /** A suite without a record layer in any kernel: CBC, CCM. */
  Cipher: 4,
  /** Older than TLS 1.2. */
  Version: 5,
  /** This kernel does not have that cipher in that version and direction. */
  NotOffered: 6,
  /** OpenSSL has read a part of a record. */
  PartialRecord: 7,
  /** OpenSSL has data that nobody has read. */
  PendingData: 8,
  /** The handshake has not told its secrets. */
  NoSecret: 9,
  /** Nobody can tell how many records have been sent. */
  UnknownSequence: 10,
  /** The connection is not established any more: the peer has finished sending. */
  Closed: 11,
  Memory: 12,
  /** The kernel has said something else. */
  Error: 13,
} as const;
export type KernelTlsRefusal = (typeof KernelTlsRefusal)[keyof typeof KernelTlsRefusal];

const name = new NativeMemory(4);
name.bytes.write('tls');
const info = new NativeMemory(CRYPTO_INFO_BYTES_MAX);

/**
 * Puts the kernel's record layer on a connection; bytes pass it unchanged until a direction has a
 * key. There is no way back.
 *
 * @returns None, NoModule, NotTcp, Closed, Memory or Error
 */
export function attachKernelTls(kernel: Kernel, fd: number): KernelTlsRefusal {
  const { IPPROTO_TCP, TCP_ULP } = SocketOption;
  switch (-kernel.setsockopt(fd, IPPROTO_TCP, TCP_ULP, name.address, 3)) {
    case 0:
    case Errno.EEXIST:
      return KernelTlsRefusal.None;
    // A module that is not there, and one that this process may not load (tcp_ulp.c).
    case Errno.ENOENT:
    case Errno.ENOPROTOOPT:
      return KernelTlsRefusal.NoModule;
    case Errno.EOPNOTSUPP:
      return KernelTlsRefusal.NotTcp;
    case Errno.ENOTCONN:
      return KernelTlsRefusal.Closed;
    case Errno.ENOMEM:
      return KernelTlsRefusal.Memory;
    default:
      return KernelTlsRefusal.Error;
  }
}

/**
 * Gives the kernel the key of one direction: from the next byte on it is the kernel's.
 *
 * @param direction TLS_TX or TLS_RX
 * @param key overwritten
 * @param sequence number of the next record under this key
 * @returns 0, or a negative error number
 */
export function installKey(
  kernel: Kernel,
  fd: number,
  direction: number,
  suite: CipherSuite,
  key: TrafficKey,
  sequence: number,
): number {
  const length = writeCryptoInfo(info.bytes, suite, key, sequence);
  const result = kernel.setsockopt(fd, TlsOption.SOL_TLS, direction, info.address, length);
  info.bytes.fill(0);
  wipe(key);
  return result;
}

/** What the kernel's answer to a key means, where there was none before. */
export function keyRefusal(result: number): KernelTlsRefusal {
  switch (-result) {
    case 0:
      return KernelTlsRefusal.None;
    // An AEAD that is not compiled in, a number or a version that this kernel does not know, a
    // direction it does not have (tls_main.c, do_tls_setsockopt_conf).
    case Errno.ENOENT:
    case Errno.EINVAL:
    case Errno.EOPNOTSUPP:
    case Errno.ENOPROTOOPT:
      return KernelTlsRefusal.NotOffered;
    case Errno.ENOMEM:
      return KernelTlsRefusal.Memory;
    default:
      return KernelTlsRefusal.Error;
  }
}
