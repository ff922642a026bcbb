import { TlsVersion } from './tls-version.js';

/** An AEAD that the kernel's record layer knows, and how its parameters are made. */
export interface KernelCipher {
  /** As OpenSSL names the algorithm, for people. */
  readonly name: string;
  /** `TLS_CIPHER_…`, linux/tls.h */
  readonly number: number;
  readonly keyBytes: number;
  /** Bytes of the nonce that both ends know from the handshake: linux/tls.h's salt. */
  readonly saltBytes: number;
  /** The rest of the 12-byte nonce. */
  readonly ivBytes: number;
  /**
   * Records that may be protected by one key. RFC 8446 §5.5: about 2^24.5 full-size ones with
   * AES-GCM; with ChaCha20-Poly1305 the sequence number would wrap first.
   */
  readonly recordsMax: number;
}

const GCM_RECORDS_MAX = Math.floor(2 ** 24.5);

/** The ciphers of `crypto_info` that TLS libraries offer; CCM, SM4 and ARIA hardly ever are. */
export const kernelCiphers = {
  aes128Gcm: {
    name: 'AES-128-GCM',
    number: 51,
    keyBytes: 16,
    saltBytes: 4,
    ivBytes: 8,
    recordsMax: GCM_RECORDS_MAX,
  },
  aes256Gcm: {
    name: 'AES-256-GCM',
    number: 52,
    keyBytes: 32,
    saltBytes: 4,
    ivBytes: 8,
    recordsMax: GCM_RECORDS_MAX,
  },
  chacha20Poly1305: {
    name: 'ChaCha20-Poly1305',
    number: 54,
    keyBytes: 32,
    saltBytes: 0,
    ivBytes: 12,
    recordsMax: Number.POSITIVE_INFINITY,
  },
} as const satisfies Readonly<Record<string, KernelCipher>>;

/** A cipher suite as far as the record layer and the key schedule are concerned. */
export interface CipherSuite {
  readonly version: TlsVersion;
  readonly cipher: KernelCipher;
  /** Of HKDF or of the PRF. */
  readonly hash: 'sha256' | 'sha384';
}

const { Tls12, Tls13 } = TlsVersion;
const { aes128Gcm, aes256Gcm, chacha20Poly1305 } = kernelCiphers;

/** By the number of the IANA registry "TLS Cipher Suites", which `SSL_CIPHER_get_protocol_id` gives. */
const suites: ReadonlyMap<number, CipherSuite> = new Map<number, CipherSuite>([
  [0x1301, { version: Tls13, cipher: aes128Gcm, hash: 'sha256' }],
  [0x1302, { version: Tls13, cipher: aes256Gcm, hash: 'sha384' }],
  [0x1303, { version: Tls13, cipher: chacha20Poly1305, hash: 'sha256' }],
  // RSA, DHE-RSA, ECDHE-ECDSA and ECDHE-RSA (RFC 5288, RFC 5289).
  ...[0x009c, 0x009e, 0xc02b, 0xc02f].map((id): [number, CipherSuite] => [
    id,
    { version: Tls12, cipher: aes128Gcm, hash: 'sha256' },
  ]),
  ...[0x009d, 0x009f, 0xc02c, 0xc030].map((id): [number, CipherSuite] => [
    id,
    { version: Tls12, cipher: aes256Gcm, hash: 'sha384' },
  ]),
  // ECDHE-RSA, ECDHE-ECDSA and DHE-RSA (RFC 7905).
  ...[0xcca8, 0xcca9, 0xccaa].map((id): [number, CipherSuite] => [
    id,
    { version: Tls12, cipher: chacha20Poly1305, hash: 'sha256' },
  ]),
]);

/** @returns `undefined` for a suite that the kernel's record layer cannot serve: CBC, CCM, … */
export function kernelSuite(id: number): CipherSuite | undefined {
  return suites.get(id);
}
