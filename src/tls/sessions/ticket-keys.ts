import { NativeMemory } from '../../splice/index.js';
import { Control, callbackAddresses, Misc, type OpenSsl, orThrowTls } from '../openssl/index.js';
import { TlsVersion } from '../protocol/index.js';

/** A key is a name, the secret of an HMAC-SHA-256 and that of an AES-256-CBC (RFC 5077 §4). */
const NAME_BYTES = 16;
const MAC_KEY_BYTES = 32;
const CIPHER_KEY_BYTES = 32;
export const TICKET_KEY_BYTES = NAME_BYTES + MAC_KEY_BYTES + CIPHER_KEY_BYTES;
const MAC_KEY_AT = NAME_BYTES;
const CIPHER_KEY_AT = NAME_BYTES + MAC_KEY_BYTES;
const IV_BYTES = 16;

/** `OSSL_PARAM` (openssl/core.h): key, data_type, data, data_size, return_size. */
const PARAM_BYTES = 40;
const PARAM_UNMODIFIED = 0xffff_ffff_ffff_ffffn;

/** Answers of the callback (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)). */
const TicketAnswer = { Failed: -1, Unknown: 0, Good: 1, Renew: 2 } as const;

/** One key in memory that OpenSSL can read, and the parameters of its HMAC. */
class TicketKey {
  readonly memory = new NativeMemory(TICKET_KEY_BYTES + strings.length + 3 * PARAM_BYTES);
  readonly nameAddress = this.memory.address;
  readonly cipherAddress = this.memory.address + CIPHER_KEY_AT;
  readonly paramsAddress = this.memory.address + TICKET_KEY_BYTES + strings.length;

  constructor(key: Uint8Array) {
    const { bytes, address } = this.memory;
    bytes.set(key);
    bytes.set(strings, TICKET_KEY_BYTES);
    const stringsAddress = address + TICKET_KEY_BYTES;
    const { OSSL_PARAM_OCTET_STRING, OSSL_PARAM_UTF8_STRING } = Misc;
    this.param(0, stringsAddress, OSSL_PARAM_OCTET_STRING, address + MAC_KEY_AT, MAC_KEY_BYTES);
    this.param(1, stringsAddress + 4, OSSL_PARAM_UTF8_STRING, stringsAddress + 12, 6);
  }

  private param(index: number, name: number, type: number, data: number, length: number): void {
    const { bytes } = this.memory;
    const at = TICKET_KEY_BYTES + strings.length + index * PARAM_BYTES;
    bytes.writeBigUInt64LE(BigInt(name), at);
    bytes.writeUInt32LE(type, at + 8);
    bytes.writeBigUInt64LE(BigInt(data), at + 16);
    bytes.writeBigUInt64LE(BigInt(length), at + 24);
    bytes.writeBigUInt64LE(PARAM_UNMODIFIED, at + 32);
  }
}

/** `OSSL_MAC_PARAM_KEY` and `OSSL_MAC_PARAM_DIGEST` with its value, at 0, 4 and 12. */
const strings = Buffer.from('key\0digest\0\0SHA256\0\0\0\0\0\0');

/**
 * The keys of a listener's session tickets: the first one encrypts, all of them decrypt. Every
 * worker, and every machine of a fleet, that has the same keys resumes the others' sessions.
 */
export class TicketKeys {
  private readonly keys: readonly TicketKey[];

  /** @param keys 80 bytes each */
  constructor(
    private readonly openssl: OpenSsl,
    keys: readonly Uint8Array[],
  ) {
    for (const key of keys) {
      if (key.length !== TICKET_KEY_BYTES) {
        throw new RangeError(`a ticket key has ${TICKET_KEY_BYTES} bytes, not ${key.length}`);
      }
    }
    this.keys = keys.map((key) => new TicketKey(key));
  }

  get isEmpty(): boolean {
    return this.keys.length === 0;
  }

  /** One key is OpenSSL's own affair, in the same format; to choose among several it asks. */
  install(context: number): void {
    const { keys } = this;
    if (keys.length > 1) {
      this.openssl.SSL_CTX_set_tlsext_ticket_key_evp_cb(context, callbackAddresses().ticketKey);
      return;
    }
    const command = Control.SSL_CTRL_SET_TLSEXT_TICKET_KEYS;
    const address = keys[0]!.memory.address;
    const result = this.openssl.SSL_CTX_ctrl(context, command, TICKET_KEY_BYTES, address);
    orThrowTls(this.openssl, result, 'the key of session tickets');
  }

  /** The arguments are those of the callback, addresses in OpenSSL's memory. */
  onTicket(
    ssl: number,
    name: number,
    iv: number,
    cipher: number,
    mac: number,
    isWriting: boolean,
  ): number {
    if (isWriting) return this.seal(name, iv, cipher, mac);
    const answer = this.open(name, iv, cipher, mac);
    // A ticket of TLS 1.3 is for one connection (RFC 8446 §C.4), which gets the next.
    const isSpent =
      answer === TicketAnswer.Good && this.openssl.SSL_version(ssl) === TlsVersion.Tls13;
    return isSpent ? TicketAnswer.Renew : answer;
  }

  /** Overwrites the keys. */
  release(): void {
    for (const { memory } of this.keys) memory.bytes.fill(0, 0, TICKET_KEY_BYTES);
  }

  private seal(name: number, iv: number, cipher: number, mac: number): number {
    const { openssl } = this;
    const key = this.keys[0]!;
    openssl.memcpy(name, key.nameAddress, NAME_BYTES);
    const aes = openssl.EVP_aes_256_cbc();
    const isReady =
      openssl.RAND_bytes(iv, IV_BYTES) === 1 &&
      openssl.EVP_EncryptInit_ex(cipher, aes, 0, key.cipherAddress, iv) === 1 &&
      openssl.EVP_MAC_CTX_set_params(mac, key.paramsAddress) === 1;
    return isReady ? TicketAnswer.Good : TicketAnswer.Failed;
  }

  private open(name: number, iv: number, cipher: number, mac: number): number {
    const { openssl, keys } = this;
    const index = keys.findIndex(
      ({ nameAddress }) => openssl.CRYPTO_memcmp(name, nameAddress, NAME_BYTES) === 0,
    );
    if (index < 0) return TicketAnswer.Unknown;
    const key = keys[index]!;
    const aes = openssl.EVP_aes_256_cbc();
    const isReady =
      openssl.EVP_DecryptInit_ex(cipher, aes, 0, key.cipherAddress, iv) === 1 &&
      openssl.EVP_MAC_CTX_set_params(mac, key.paramsAddress) === 1;
    if (!isReady) return TicketAnswer.Failed;
    return index === 0 ? TicketAnswer.Good : TicketAnswer.Renew;
  }
}
