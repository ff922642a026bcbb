import {
  type CipherSuite,
  type KernelCipher,
  TlsVersion,
  type TrafficKey,
} from '../protocol/index.js';

/** The 8 bytes of a record's sequence number. */
const REC_SEQ_BYTES = 8;

/**
 * Where the fields of `struct tls12_crypto_info_…` are, linux/tls.h. All are bytes but the first two,
 * so there is no padding; test/tls/kernel/crypto-info.test.ts asks the header.
 */
export interface CryptoInfoLayout {
  readonly size: number;
  readonly version: number;
  readonly cipherType: number;
  readonly iv: number;
  readonly key: number;
  readonly salt: number;
  readonly recSeq: number;
}

export function cryptoInfoLayout({ ivBytes, keyBytes, saltBytes }: KernelCipher): CryptoInfoLayout {
  const iv = 4;
  const key = iv + ivBytes;
  const salt = key + keyBytes;
  const recSeq = salt + saltBytes;
  return { size: recSeq + REC_SEQ_BYTES, version: 0, cipherType: 2, iv, key, salt, recSeq };
}

/** Bytes of the largest of these structs. */
export const CRYPTO_INFO_BYTES_MAX = 56;

/**
 * Writes what TLS_TX and TLS_RX are told.
 *
 * @param target at least {@link CRYPTO_INFO_BYTES_MAX} long
 * @param sequence number of the next record, 0 ≤ n < 2^53
 * @returns the length of the struct
 */
export function writeCryptoInfo(
  target: Buffer,
  { version, cipher }: CipherSuite,
  { key, iv }: TrafficKey,
  sequence: number,
): number {
  const layout = cryptoInfoLayout(cipher);
  target.writeUInt16LE(version, layout.version);
  target.writeUInt16LE(cipher.number, layout.cipherType);
  target.set(key, layout.key);
  target.set(iv.subarray(0, cipher.saltBytes), layout.salt);
  target.writeBigUInt64BE(BigInt(sequence), layout.recSeq);
  // TLS 1.2 with GCM (RFC 5288 §3): the rest of the nonce is in each record, chosen by the sender.
  // The kernel counts it up from what it is given; the sequence number never repeats.
  if (version === TlsVersion.Tls12 && cipher.saltBytes > 0) {
    target.writeBigUInt64BE(BigInt(sequence), layout.iv);
  } else {
    target.set(iv.subarray(cipher.saltBytes), layout.iv);
  }
  return layout.size;
}
