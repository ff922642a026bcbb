import { createHmac } from 'node:crypto';
import type { CipherSuite } from './cipher-suites.js';

/** What one direction's records are protected with. Whoever is handed it overwrites it after use. */
export interface TrafficKey {
  readonly key: Buffer;
  /** Of TLS 1.3 and ChaCha20-Poly1305 all 12 bytes; of TLS 1.2 with GCM the 4 that are implicit. */
  readonly iv: Buffer;
}

/** The keys of a connection, named for who writes with them. */
export interface TrafficKeys {
  readonly client: TrafficKey;
  readonly server: TrafficKey;
}

/** The IV of TLS 1.3, and of ChaCha20-Poly1305 in TLS 1.2 (RFC 8446 §5.3, RFC 7905 §2). */
const NONCE_BYTES = 12;

/**
 * The key of a direction in TLS 1.3 (RFC 8446 §7.3).
 *
 * @param secret `client_` or `server_application_traffic_secret_N`; left as it is
 */
export function tls13Key({ hash, cipher }: CipherSuite, secret: Uint8Array): TrafficKey {
  return {
    key: expandLabel(hash, secret, 'key', cipher.keyBytes),
    iv: expandLabel(hash, secret, 'iv', NONCE_BYTES),
  };
}

/** The secret that follows `secret` after a KeyUpdate (RFC 8446 §7.2). */
export function nextSecret({ hash }: CipherSuite, secret: Uint8Array): Buffer {
  return expandLabel(hash, secret, 'traffic upd', secret.byteLength);
}

/**
 * HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
 *
 * @param length at most the hash's output: nothing here needs a second block of HKDF-Expand
 */
function expandLabel(
  hash: CipherSuite['hash'],
  secret: Uint8Array,
  label: string,
  length: number,
): Buffer {
  const name = `tls13 ${label}`;
  const info = Buffer.alloc(2 + 1 + name.length + 1 + 1);
  info.writeUInt16BE(length, 0);
  info.writeUInt8(name.length, 2);
  info.write(name, 3, 'latin1');
  // The length of the context, 0, and HKDF-Expand's block number (RFC 5869 §2.3).
  info.writeUInt8(1, info.length - 1);
  const block = createHmac(hash, secret).update(info).digest();
  return truncated(block, length);
}

/**
 * The keys of both directions in TLS 1.2 (RFC 5246 §6.3). The AEAD suites have no MAC keys.
 *
 * @param masterSecret 48 bytes; left as it is
 */
export function tls12Keys(
  { hash, cipher }: CipherSuite,
  masterSecret: Uint8Array,
  clientRandom: Uint8Array,
  serverRandom: Uint8Array,
): TrafficKeys {
  const { keyBytes } = cipher;
  // RFC 5288 §3: 4 bytes of salt; RFC 7905 §2: the whole nonce.
  const ivBytes = cipher.saltBytes || NONCE_BYTES;
  const seed = Buffer.concat([serverRandom, clientRandom]);
  const block = prf(hash, masterSecret, 'key expansion', seed, 2 * (keyBytes + ivBytes));
  let at = 0;
  const take = (length: number): Buffer => {
    at += length;
    return Buffer.from(block.subarray(at - length, at));
  };
  const [clientKey, serverKey] = [take(keyBytes), take(keyBytes)];
  const [clientIv, serverIv] = [take(ivBytes), take(ivBytes)];
  block.fill(0);
  return { client: { key: clientKey, iv: clientIv }, server: { key: serverKey, iv: serverIv } };
}

/** The pseudorandom function of TLS 1.2 (RFC 5246 §5). */
export function prf(
  hash: CipherSuite['hash'],
  secret: Uint8Array,
  label: string,
  seed: Uint8Array,
  length: number,
): Buffer {
  const labelAndSeed = Buffer.concat([Buffer.from(label, 'latin1'), seed]);
  const output = Buffer.alloc(length);
  let chain = createHmac(hash, secret).update(labelAndSeed).digest();
  for (let at = 0; at < length; ) {
    const block = createHmac(hash, secret).update(chain).update(labelAndSeed).digest();
    at += block.copy(output, at);
    block.fill(0);
    const next = createHmac(hash, secret).update(chain).digest();
    chain.fill(0);
    chain = next;
  }
  chain.fill(0);
  return output;
}

/** Overwrites a key with zeros. */
export function wipe({ key, iv }: TrafficKey): void {
  key.fill(0);
  iv.fill(0);
}

function truncated(block: Buffer, length: number): Buffer {
  if (length === block.length) return block;
  const result = Buffer.from(block.subarray(0, length));
  block.fill(0);
  return result;
}
