import { presetCurves, type TlsPreset, type TlsVersionName, tlsPresets } from './preset.js';

/** A version as the file has it. */
type Written = TlsVersionName | 1.2 | 1.3;

/** What a listener or an upstream says of versions and ciphers. */
export interface ProtocolKeys {
  readonly preset?: keyof typeof tlsPresets | undefined;
  readonly min_version?: Written | undefined;
  readonly max_version: Written;
  readonly ciphers?: string | undefined;
  readonly ciphersuites?: string | undefined;
  readonly curves?: string | undefined;
  readonly kernel: 'auto' | 'require' | 'off';
  readonly alpn: readonly string[];
}

/** Versions and ciphers, the preset filled in; null leaves it to OpenSSL. */
export function toProtocol(keys: ProtocolKeys) {
  const preset: TlsPreset | undefined = keys.preset && tlsPresets[keys.preset];
  return {
    minVersion: lowestVersion(keys),
    maxVersion: versionName(keys.max_version),
    ciphers: keys.ciphers ?? preset?.ciphers ?? null,
    ciphersuites: keys.ciphersuites ?? preset?.ciphersuites ?? null,
    curves: keys.curves ?? (preset && presetCurves()) ?? null,
    kernel: keys.kernel,
    alpn: keys.alpn,
  };
}

/** The lowest version that is spoken, from whatever says it. */
export function lowestVersion({
  preset,
  min_version,
}: Pick<ProtocolKeys, 'preset' | 'min_version'>): TlsVersionName {
  if (min_version !== undefined) return versionName(min_version);
  return preset === undefined ? '1.2' : tlsPresets[preset].minVersion;
}

function versionName(written: Written): TlsVersionName {
  return String(written) as TlsVersionName;
}
