import { isCurve } from '../values/index.js';

export type TlsVersionName = '1.2' | '1.3';

/** What a preset says of a listener's TLS. */
export interface TlsPreset {
  readonly minVersion: TlsVersionName;
  /** null where there is no TLS 1.2. */
  readonly ciphers: string | null;
  readonly ciphersuites: string;
}

const ciphersuites = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
const curves = ['X25519MLKEM768', 'X25519', 'prime256v1', 'secp384r1'];

/**
 * Mozilla's Server Side TLS, version 6.0 (https://ssl-config.mozilla.org/guidelines/6.0.json). It has
 * no DHE and no CBC, and leaves the choice among what both sides have to the client.
 */
export const tlsPresets: Readonly<Record<'modern' | 'intermediate', TlsPreset>> = {
  modern: { minVersion: '1.3', ciphers: null, ciphersuites },
  intermediate: {
    minVersion: '1.2',
    ciphers: [
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'ECDHE-RSA-AES128-GCM-SHA256',
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'ECDHE-RSA-AES256-GCM-SHA384',
      'ECDHE-ECDSA-CHACHA20-POLY1305',
      'ECDHE-RSA-CHACHA20-POLY1305',
    ].join(':'),
    ciphersuites,
  },
};

let supported: string | undefined;

/** The curves of both, as far as this OpenSSL has them: it would refuse a list with one it has not. */
export function presetCurves(): string {
  supported ??= curves.filter(isCurve).join(':');
  return supported;
}
