import type { ListenerTlsConfig, TlsVersionName, UpstreamTlsConfig } from '../../config/index.js';
import { type ProtocolSettings, TlsVersion } from '../../tls/index.js';

const versions: Readonly<Record<TlsVersionName, TlsVersion>> = {
  '1.2': TlsVersion.Tls12,
  '1.3': TlsVersion.Tls13,
};

/** Versions and ciphers as workers are told them. */
export function protocolSettings(config: ListenerTlsConfig | UpstreamTlsConfig): ProtocolSettings {
  const { minVersion, maxVersion, ciphers, ciphersuites, curves, kernel } = config;
  return {
    minVersion: versions[minVersion],
    maxVersion: versions[maxVersion],
    ciphers: ciphers ?? undefined,
    ciphersuites: ciphersuites ?? undefined,
    curves: curves ?? undefined,
    kernel,
  };
}
