import { crc32c } from './crc32c.js';
import { Rejection } from './head-rejection.js';

/** Types of TLVs (proxy-protocol.txt §2.2), and those of three clouds from the custom range. */
export const ProxyTlvType = {
  /** §2.2.1: one protocol name. */
  ALPN: 0x01,
  /** §2.2.2: the host name the client asked for; with TLS, the server_name. */
  AUTHORITY: 0x02,
  /** §2.2.3: verified, and written on demand. */
  CRC32C: 0x03,
  /** §2.2.4: padding; not kept. */
  NOOP: 0x04,
  /** §2.2.5: up to 128 bytes. */
  UNIQUE_ID: 0x05,
  /** §2.2.6: see {@link readProxySsl}. */
  SSL: 0x20,
  /** §2.2.7: the name of a network namespace. */
  NETNS: 0x30,
  GCP: 0xe0,
  AWS: 0xea,
  AZURE: 0xee,
} as const;

/** Types of the TLVs inside the SSL one (proxy-protocol.txt §2.2.6; the last three since 2025). */
export const ProxySslType = {
  VERSION: 0x21,
  CN: 0x22,
  CIPHER: 0x23,
  SIG_ALG: 0x24,
  KEY_ALG: 0x25,
  GROUP: 0x26,
  SIG_SCHEME: 0x27,
  CLIENT_CERT: 0x28,
} as const;

/** Bits of {@link ProxySsl.client} (proxy-protocol.txt §2.2.6). */
export const ProxySslClient = { SSL: 0x01, CERT_CONN: 0x02, CERT_SESS: 0x04 } as const;

/** Type and length in front of each value. */
export const TLV_HEADER_BYTES = 3;
const CRC32C_BYTES = 4;
const UNIQUE_ID_BYTES_MAX = 128;
/** `client` and `verify` in front of the TLVs inside the SSL one. */
const SSL_HEADER_BYTES = 5;

export interface ProxyTlv {
  readonly type: number;
  readonly value: Buffer;
}

/** What the sender knows of the client's TLS connection. */
export interface ProxySsl {
  /** Bits of {@link ProxySslClient}. */
  readonly client: number;
  /** 0: the client's certificate was verified. */
  readonly verify: number;
  readonly tlvs: readonly ProxyTlv[];
}

/**
 * Checks the TLVs at the end of a v2 header, the checksum included.
 *
 * @param bytes bytes[headerAt, end) are the header, bytes[at, end) its TLVs
 * @returns 0, or a negative rejection
 */
export function checkTlvs(bytes: Buffer, headerAt: number, at: number, end: number): number {
  let crcAt = -1;
  for (let next = at; next < end; ) {
    if (end - next < TLV_HEADER_BYTES) return -Rejection.proxy_tlv_malformed;
    const type = bytes[next]!;
    const valueAt = next + TLV_HEADER_BYTES;
    next = valueAt + ((bytes[next + 1]! << 8) | bytes[next + 2]!);
    if (next > end || !hasRightShape(type, bytes, valueAt, next)) {
      return -Rejection.proxy_tlv_malformed;
    }
    if (type !== ProxyTlvType.CRC32C) continue;
    // A second one would have to be zero for the first one to be right, and the other way round.
    if (crcAt >= 0) return -Rejection.proxy_tlv_malformed;
    crcAt = valueAt;
  }
  if (crcAt < 0) return 0;
  const isRight = bytes.readUInt32BE(crcAt) === crc32c(bytes, headerAt, end, crcAt);
  return isRight ? 0 : -Rejection.proxy_checksum;
}

function hasRightShape(type: number, bytes: Buffer, at: number, end: number): boolean {
  switch (type) {
    case ProxyTlvType.CRC32C:
      return end - at === CRC32C_BYTES;
    case ProxyTlvType.UNIQUE_ID:
      return end - at <= UNIQUE_ID_BYTES_MAX;
    case ProxyTlvType.SSL:
      return end - at >= SSL_HEADER_BYTES && addsUp(bytes, at + SSL_HEADER_BYTES, end);
    default:
      return true;
  }
}

function addsUp(bytes: Buffer, at: number, end: number): boolean {
  let next = at;
  while (end - next >= TLV_HEADER_BYTES) {
    next += TLV_HEADER_BYTES + ((bytes[next + 1]! << 8) | bytes[next + 2]!);
  }
  return next === end;
}

/**
 * Takes TLVs that were checked out of a buffer that will be used again: they are copied, once.
 * CRC32C and NOOP have done their work and are left out.
 */
export function takeTlvs(bytes: Buffer, at: number, end: number): ProxyTlv[] {
  const tlvs = splitTlvs(Buffer.from(bytes.subarray(at, end)));
  return tlvs.filter(({ type }) => type !== ProxyTlvType.CRC32C && type !== ProxyTlvType.NOOP);
}

function splitTlvs(bytes: Buffer): ProxyTlv[] {
  const tlvs: ProxyTlv[] = [];
  for (let next = 0; next < bytes.length; ) {
    const valueAt = next + TLV_HEADER_BYTES;
    const end = valueAt + bytes.readUInt16BE(next + 1);
    tlvs.push({ type: bytes[next]!, value: bytes.subarray(valueAt, end) });
    next = end;
  }
  return tlvs;
}

/** The value of the first TLV of a type. */
export function findTlv(tlvs: readonly ProxyTlv[], type: number): Buffer | undefined {
  return tlvs.find((tlv) => tlv.type === type)?.value;
}

/** The value of an SSL TLV, as {@link readProxySsl} reads it. */
export function encodeProxySsl({ client, verify, tlvs }: ProxySsl): Buffer {
  const head = Buffer.alloc(SSL_HEADER_BYTES);
  head.writeUInt8(client, 0);
  head.writeUInt32BE(verify, 1);
  const fields = tlvs.flatMap(({ type, value }) => {
    const header = Buffer.alloc(TLV_HEADER_BYTES);
    header.writeUInt8(type, 0);
    header.writeUInt16BE(value.length, 1);
    return [header, value];
  });
  return Buffer.concat([head, ...fields]);
}

/** The value of an SSL TLV that came in a header, taken apart. */
export function readProxySsl(value: Buffer): ProxySsl {
  return {
    client: value[0]!,
    verify: value.readUInt32BE(1),
    tlvs: splitTlvs(value.subarray(SSL_HEADER_BYTES)),
  };
}
