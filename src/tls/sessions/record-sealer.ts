import { NativeMemory } from '../../splice/index.js';
import { Misc, type OpenSsl } from '../openssl/index.js';
import {
  type KernelCipher,
  kernelCiphers,
  RecordType,
  type TrafficKey,
  wipe,
} from '../protocol/index.js';

const HEADER_BYTES = 5;
const TYPE_BYTES = 1;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
/** What a call seals at most. */
export const SEALED_CONTENT_MAX = 512;

const nonce = new NativeMemory(NONCE_BYTES);
const outLength = new NativeMemory(4);
const record = new NativeMemory(HEADER_BYTES + SEALED_CONTENT_MAX + TYPE_BYTES + TAG_BYTES);
/** Where the record is that {@link RecordSealer.seal} has made, until the next call. */
export const sealedRecord: number = record.address;

/**
 * Makes records of TLS 1.3 (RFC 8446 §5.2) under one key, from number 0. The key is OpenSSL's to keep,
 * in a context that is overwritten when it is freed.
 */
export class RecordSealer {
  private sequence = 0;

  private constructor(
    private readonly openssl: OpenSsl,
    private readonly context: number,
    private readonly iv: Buffer,
  ) {}

  /**
   * @param key overwritten
   * @returns `undefined` where OpenSSL does not have the cipher, as one in FIPS mode may not, or no memory
   */
  static open(openssl: OpenSsl, cipher: KernelCipher, key: TrafficKey): RecordSealer | undefined {
    const context = openssl.EVP_CIPHER_CTX_new();
    if (context === 0) {
      wipe(key);
      openssl.ERR_clear_error();
      return undefined;
    }
    const memory = NativeMemory.copyOf(key.key);
    const algorithm = algorithmOf(openssl, cipher);
    const result = openssl.EVP_EncryptInit_ex(context, algorithm, 0, memory.address, 0);
    const iv = Buffer.from(key.iv);
    memory.bytes.fill(0);
    wipe(key);
    if (result === 1) return new RecordSealer(openssl, context, iv);
    openssl.EVP_CIPHER_CTX_free(context);
    openssl.ERR_clear_error();
    return undefined;
  }

  /**
   * Seals `content[start, end)`, at most {@link SEALED_CONTENT_MAX} bytes.
   *
   * @param type of what is inside; outside every record looks like application data
   * @returns length of the record at {@link sealedRecord}, or 0 where OpenSSL could not do it
   */
  seal(type: number, content: Uint8Array, start: number, end: number): number {
    const { openssl, context } = this;
    const { bytes, address } = record;
    const innerBytes = end - start + TYPE_BYTES;
    const body = address + HEADER_BYTES;
    bytes.writeUInt8(RecordType.ApplicationData, 0);
    bytes.writeUInt16BE(0x0303, 1);
    bytes.writeUInt16BE(innerBytes + TAG_BYTES, 3);
    bytes.set(content.subarray(start, end), HEADER_BYTES);
    bytes.writeUInt8(type, HEADER_BYTES + innerBytes - TYPE_BYTES);
    this.nextNonce();
    const isSealed =
      openssl.EVP_EncryptInit_ex(context, 0, 0, 0, nonce.address) === 1 &&
      openssl.EVP_EncryptUpdate(context, 0, outLength.address, address, HEADER_BYTES) === 1 &&
      openssl.EVP_EncryptUpdate(context, body, outLength.address, body, innerBytes) === 1 &&
      openssl.EVP_EncryptFinal_ex(context, body + innerBytes, outLength.address) === 1 &&
      openssl.EVP_CIPHER_CTX_ctrl(
        context,
        Misc.EVP_CTRL_AEAD_GET_TAG,
        TAG_BYTES,
        body + innerBytes,
      ) === 1;
    if (isSealed) return HEADER_BYTES + innerBytes + TAG_BYTES;
    openssl.ERR_clear_error();
    return 0;
  }

  /** Overwrites the key. */
  release(): void {
    this.openssl.EVP_CIPHER_CTX_free(this.context);
    this.iv.fill(0);
  }

  /** RFC 8446 §5.3: the number of the record, padded to the left, XOR the IV. */
  private nextNonce(): void {
    nonce.bytes.fill(0);
    nonce.bytes.writeUInt32BE(this.sequence++, NONCE_BYTES - 4);
    for (let index = 0; index < NONCE_BYTES; index++) nonce.bytes[index]! ^= this.iv[index]!;
  }
}

function algorithmOf(openssl: OpenSsl, cipher: KernelCipher): number {
  switch (cipher.number) {
    case kernelCiphers.aes128Gcm.number:
      return openssl.EVP_aes_128_gcm();
    case kernelCiphers.aes256Gcm.number:
      return openssl.EVP_aes_256_gcm();
    default:
      return openssl.EVP_chacha20_poly1305();
  }
}
