import { TlsVersion } from '../tls/index.js';
import type { TlsSide } from './tls-side.js';

/** TLS of one side of a session, in the words of access lines and the admin interface. */
export interface TlsStatus {
  /** Absent, like the rest, until the handshake is done. */
  readonly version?: '1.2' | '1.3';
  readonly cipher?: string;
  readonly resumed?: boolean;
  readonly server_name?: string | undefined;
  readonly alpn?: string | undefined;
  /** Subject of the other side's certificate, and whether it was verified. */
  readonly peer?: string | undefined;
  readonly peer_verified?: boolean | undefined;
  /** Records of that direction are the kernel's affair. */
  readonly kernel_tx?: boolean;
  readonly kernel_rx?: boolean;
  /** Why the handshake failed; beside `version`, what broke the connection after it. */
  readonly failure?: string | undefined;
  readonly detail?: string | undefined;
}

export function describeTls(side: TlsSide | undefined): TlsStatus | undefined {
  if (side === undefined) return undefined;
  const { session, failure, detail, kernelTx, kernelRx, breach } = side;
  if (failure !== undefined) return { failure, detail: detail === '' ? undefined : detail };
  if (session === undefined) return {};
  return {
    version: session.version === TlsVersion.Tls13 ? '1.3' : '1.2',
    cipher: session.cipher,
    resumed: session.isResumed,
    server_name: session.serverName,
    alpn: session.alpn,
    peer: session.peer?.subject,
    peer_verified: session.peer?.isVerified,
    kernel_tx: kernelTx,
    kernel_rx: kernelRx,
    failure: breach,
  };
}
