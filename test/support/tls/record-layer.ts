// TLS records made and taken apart by hand, for what no library sends: empty ones, damaged ones, any type at any time.
import { type CipherGCMTypes, createCipheriv, createDecipheriv } from 'node:crypto';
import { type CipherSuite, RecordType, TlsVersion, type TrafficKey } from '#src/tls/index.js';

const TAG_BYTES = 16;
const HEADER_BYTES = 5;

/** One direction's records under one key. */
export class RecordLayer {
  sequence = 0n;

  constructor(
    private readonly suite: CipherSuite,
    private readonly key: TrafficKey,
  ) {}

  /** One record; with TLS 1.3 the type is inside, and `padding` zeros behind it. */
  seal(type: number, content: Uint8Array, padding = 0): Buffer {
    const isTls13 = this.suite.version === TlsVersion.Tls13;
    const inner = isTls13
      ? Buffer.concat([content, Buffer.from([type]), Buffer.alloc(padding)])
      : Buffer.from(content);
    const outerType = isTls13 ? RecordType.ApplicationData : type;
    const explicit = this.explicitNonce();
    const length = explicit.length + inner.length + TAG_BYTES;
    const header = Buffer.from([outerType, 3, 3, length >> 8, length & 0xff]);
    const cipher = createCipheriv(this.algorithm, this.key.key, this.nonce(explicit), {
      authTagLength: TAG_BYTES,
    } as never);
    cipher.setAAD(this.additionalData(header, type, inner.length), {
      plaintextLength: inner.length,
    });
    const sealed = Buffer.concat([cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
    this.sequence++;
    return Buffer.concat([header, explicit, sealed]);
  }

  /**
   * Takes the first record out of `bytes`.
   * @throws Error when it was not made with this key and sequence number
   */
  open(bytes: Buffer): { type: number; content: Buffer; rest: Buffer } | undefined {
    if (bytes.length < HEADER_BYTES) return undefined;
    const end = HEADER_BYTES + bytes.readUInt16BE(3);
    if (bytes.length < end) return undefined;
    const header = bytes.subarray(0, HEADER_BYTES);
    const bodyAt = HEADER_BYTES + this.explicitNonce().length;
    // The sender's choice: OpenSSL begins with a random one.
    const explicit = bytes.subarray(HEADER_BYTES, bodyAt);
    const body = bytes.subarray(bodyAt, end);
    const sealed = body.subarray(0, body.length - TAG_BYTES);
    const decipher = createDecipheriv(this.algorithm, this.key.key, this.nonce(explicit), {
      authTagLength: TAG_BYTES,
    } as never);
    decipher.setAAD(this.additionalData(header, header[0]!, sealed.length), {
      plaintextLength: sealed.length,
    });
    decipher.setAuthTag(body.subarray(body.length - TAG_BYTES));
    const inner = Buffer.concat([decipher.update(sealed), decipher.final()]);
    this.sequence++;
    const rest = bytes.subarray(end);
    if (this.suite.version === TlsVersion.Tls12) return { type: header[0]!, content: inner, rest };
    const last = inner.findLastIndex((byte) => byte !== 0);
    return { type: inner[last]!, content: inner.subarray(0, last), rest };
  }

  private get algorithm(): CipherGCMTypes {
    const { name } = this.suite.cipher;
    return (name === 'ChaCha20-Poly1305' ? name : name.replace('AES-', 'id-aes')) as CipherGCMTypes;
  }

  private get isExplicit(): boolean {
    return this.suite.version === TlsVersion.Tls12 && this.suite.cipher.saltBytes > 0;
  }

  private sequenceBytes(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(this.sequence);
    return bytes;
  }

  /** The part of the nonce that TLS 1.2 with GCM sends along (RFC 5288 §3). */
  private explicitNonce(): Buffer {
    return this.isExplicit ? this.sequenceBytes() : Buffer.alloc(0);
  }

  private nonce(explicit: Buffer): Buffer {
    if (this.isExplicit) return Buffer.concat([this.key.iv.subarray(0, 4), explicit]);
    const nonce = Buffer.from(this.key.iv);
    const sequence = this.sequenceBytes();
    for (let index = 0; index < 8; index++) nonce[4 + index]! ^= sequence[index]!;
    return nonce;
  }

  /** RFC 8446 §5.2: the header; RFC 5246 §6.2.3.3: sequence number, type, version and length. */
  private additionalData(header: Buffer, type: number, plainBytes: number): Buffer {
    if (this.suite.version === TlsVersion.Tls13) return header;
    const tail = Buffer.from([type, 3, 3, plainBytes >> 8, plainBytes & 0xff]);
    return Buffer.concat([this.sequenceBytes(), tail]);
  }
}
