import { type TlsSession, TlsVersion } from '../tls/index.js';
import { type ProxySsl, ProxySslClient, ProxySslType, type ProxyTlv } from './tcp/index.js';

/** proxy-protocol.txt §2.2.6: anything but 0 where no certificate was verified. */
const NOT_VERIFIED = 1;

/** What an endpoint is told of the TLS that a client speaks with this proxy. */
export function proxiedTls({ version, cipher, peer, isResumed }: TlsSession): ProxySsl {
  const { SSL, CERT_CONN, CERT_SESS } = ProxySslClient;
  const certificate = peer === undefined ? 0 : CERT_SESS | (isResumed ? 0 : CERT_CONN);
  const tlvs: ProxyTlv[] = [
    {
      type: ProxySslType.VERSION,
      value: latin1(version === TlsVersion.Tls13 ? 'TLSv1.3' : 'TLSv1.2'),
    },
    { type: ProxySslType.CIPHER, value: latin1(cipher) },
  ];
  if (peer?.commonName !== undefined) {
    tlvs.push({ type: ProxySslType.CN, value: Buffer.from(peer.commonName, 'utf8') });
  }
  return { client: SSL | certificate, verify: peer?.isVerified ? 0 : NOT_VERIFIED, tlvs };
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
