import type { UpstreamTlsConfig } from '../../config/index.js';
import type { ClientTlsSettings } from '../../tls/index.js';
import { withFingerprint } from './fingerprint.js';
import { protocolSettings } from './protocol-settings.js';
import { systemAuthorities } from './system-authorities.js';

/** Made once for each configuration, however often the addresses of its upstream change. */
const made = new WeakMap<UpstreamTlsConfig, ClientTlsSettings>();

/**
 * How workers speak TLS to an upstream.
 *
 * @throws Error when the system's authorities are wanted and SSL_CERT_FILE has none
 */
export function clientSettings(config: UpstreamTlsConfig): ClientTlsSettings {
  const known = made.get(config);
  if (known !== undefined) return known;
  const { serverName, verify, certificate, alpn } = config;
  const settings = withFingerprint({
    ...protocolSettings(config),
    serverName: serverName ?? undefined,
    verify,
    // Whoever trusts anybody needs no list.
    ca: config.ca ?? (verify ? systemAuthorities() : ''),
    certificate: certificate
      ? { names: [], chain: certificate.chain, key: certificate.privateKey }
      : undefined,
    alpn,
  });
  made.set(config, settings);
  return settings;
}
