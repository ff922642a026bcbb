import {
  isWritable,
  type Kernel,
  localAddress,
  openConnection,
  openListener,
  Sockaddr,
} from '../../splice/index.js';
import {
  type CipherSuite,
  type KernelCipher,
  kernelCiphers,
  TlsVersion,
} from '../protocol/index.js';
import { TlsOption } from './control-record.js';
import { attachKernelTls, installKey, KernelTlsRefusal, keyRefusal } from './kernel-tls.js';

/** What the kernel says to one cipher in one version. */
export interface KernelTlsOffer {
  readonly cipher: KernelCipher;
  readonly version: TlsVersion;
  readonly tx: KernelTlsRefusal;
  readonly rx: KernelTlsRefusal;
  /** A key may follow another (TLS 1.3 KeyUpdate). */
  readonly canRenewKeys: boolean;
}

/** For a connection to be made; nothing else is done meanwhile. */
const CONNECT_MS = 100;
const LOOPBACK = { family: 'inet', host: '127.0.0.1', port: 0 } as const;

/**
 * Tries a cipher, each direction by itself, on connections of its own over loopback.
 *
 * @throws SystemCallError where not even a TCP connection can be had
 */
export function probeKernelTls(
  kernel: Kernel,
  cipher: KernelCipher,
  version: TlsVersion,
): KernelTlsOffer {
  const suite: CipherSuite = { version, cipher, hash: 'sha256' };
  const [tx, canRenewKeys] = probeDirection(kernel, suite, TlsOption.TLS_TX);
  const [rx] = probeDirection(kernel, suite, TlsOption.TLS_RX);
  return { cipher, version, tx, rx, canRenewKeys };
}

let canRenew: boolean | undefined;

/**
 * Whether this kernel can change keys (Linux 6.14); asked once in the life of a thread, and again only
 * where there was no socket to ask with.
 */
export function canRenewKernelKeys(kernel: Kernel): boolean {
  if (canRenew !== undefined) return canRenew;
  try {
    const { tx, canRenewKeys } = probeKernelTls(kernel, kernelCiphers.aes128Gcm, TlsVersion.Tls13);
    if (tx === KernelTlsRefusal.None) canRenew = canRenewKeys;
    return canRenewKeys;
  } catch {
    return false;
  }
}

function probeDirection(
  kernel: Kernel,
  suite: CipherSuite,
  direction: number,
): [KernelTlsRefusal, boolean] {
  const listener = openListener(kernel, new Sockaddr(LOOPBACK), {
    backlog: 1,
    reusePort: false,
    ipv6Only: false,
  });
  const near = openConnection(kernel, new Sockaddr(localAddress(kernel, listener)));
  try {
    // On a busy machine even loopback takes its time: the handshake of TCP is softirq work.
    if (near < 0 || !isWritable(kernel, near, CONNECT_MS)) return [KernelTlsRefusal.Error, false];
    const refusal = attachKernelTls(kernel, near);
    if (refusal !== KernelTlsRefusal.None) return [refusal, false];
    const install = (): number =>
      installKey(kernel, near, direction, suite, someKey(suite.cipher), 0);
    const answer = keyRefusal(install());
    return [answer, answer === KernelTlsRefusal.None && install() >= 0];
  } finally {
    for (const fd of [near, listener]) if (fd >= 0) kernel.close(fd);
  }
}

/** No byte will ever be sent under it. */
function someKey(cipher: KernelCipher): { key: Buffer; iv: Buffer } {
  return { key: Buffer.alloc(cipher.keyBytes, 1), iv: Buffer.alloc(12, 1) };
}
