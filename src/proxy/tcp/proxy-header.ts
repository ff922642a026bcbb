import type { SocketAddress } from '../../splice/index.js';
import type { ProxyTlv } from './proxy-tlv.js';

/** Where a connection really comes from and went to. */
export interface ProxyEndpoints {
  /** The client. */
  readonly source: SocketAddress;
  /** What the client connected to. */
  readonly destination: SocketAddress;
}

/**
 * What a PROXY header said. One belongs to one connection: unlike the bytes it came in, it is kept.
 */
export class ProxyHeader {
  version: 1 | 2 = 1;
  /** v2 LOCAL: the sender speaks for itself, as in a health check. */
  isLocal = false;
  /**
   * Undefined when the connection's own addresses are to be used: LOCAL, UNKNOWN, and families that
   * no stream socket has.
   */
  endpoints: ProxyEndpoints | undefined;
  /** In the order of the header, without CRC32C and NOOP; with unknown types. */
  tlvs: readonly ProxyTlv[] = [];
  /** After PARTIAL: there is no answer before the stream has so many bytes. */
  wantedBytes = 0;
}
