import t from 'tap';
import {
  CRYPTO_INFO_BYTES_MAX,
  cryptoInfoLayout,
  kernelCiphers,
  kernelSuite,
  writeCryptoInfo,
} from '#src/tls/index.js';
import { evaluate, hasCompiler } from '#test/support/machine/c-program.js';

const structs = {
  aes128Gcm: ['tls12_crypto_info_aes_gcm_128', 'TLS_CIPHER_AES_GCM_128'],
  aes256Gcm: ['tls12_crypto_info_aes_gcm_256', 'TLS_CIPHER_AES_GCM_256'],
  chacha20Poly1305: ['tls12_crypto_info_chacha20_poly1305', 'TLS_CIPHER_CHACHA20_POLY1305'],
} as const;

t.test(
  'crypto info: offsets and numbers are those of linux/tls.h',
  { skip: hasCompiler ? false : 'no C compiler (gcc)' },
  async (t) => {
    for (const [name, [struct, cipher]] of Object.entries(structs)) {
      const ours = kernelCiphers[name as keyof typeof kernelCiphers];
      const { size, version, cipherType, iv, key, salt, recSeq } = cryptoInfoLayout(ours);
      const expected = {
        [`sizeof(struct ${struct})`]: size,
        'offsetof(struct tls_crypto_info, version)': version,
        'offsetof(struct tls_crypto_info, cipher_type)': cipherType,
        [`offsetof(struct ${struct}, iv)`]: iv,
        [`offsetof(struct ${struct}, key)`]: key,
        [`offsetof(struct ${struct}, salt)`]: salt,
        [`offsetof(struct ${struct}, rec_seq)`]: recSeq,
        [`sizeof(((struct ${struct} *)0)->rec_seq)`]: 8,
        [cipher]: ours.number,
        [`${cipher}_KEY_SIZE`]: ours.keyBytes,
        [`${cipher}_IV_SIZE`]: ours.ivBytes,
        [`${cipher}_SALT_SIZE`]: ours.saltBytes,
      };
      const values = evaluate(['linux/tls.h'], Object.keys(expected));
      for (const [expression, value] of Object.entries(expected)) {
        t.equal(values.get(expression), value, expression);
      }
      t.ok(size <= CRYPTO_INFO_BYTES_MAX);
    }
  },
);

t.test('crypto info: each version puts the nonce where the kernel looks for it', async (t) => {
  const nonce = Buffer.from('000102030405060708090a0b', 'hex');
  const write = (id: number, iv: Buffer, sequence: number): string => {
    const suite = kernelSuite(id)!;
    const target = Buffer.alloc(CRYPTO_INFO_BYTES_MAX);
    const key = Buffer.alloc(suite.cipher.keyBytes, 0xee);
    return target
      .subarray(0, writeCryptoInfo(target, suite, { key, iv }, sequence))
      .toString('hex');
  };
  const aes128 = 'ee'.repeat(16);
  const chacha = 'ee'.repeat(32);
  // version, cipher, iv, key, salt, rec_seq
  t.equal(
    write(0x1301, nonce, 2),
    `04033300${'0405060708090a0b'}${aes128}00010203${'0'.repeat(15)}2`,
  );
  t.equal(write(0x1303, nonce, 0), `04033600${nonce.toString('hex')}${chacha}${'0'.repeat(16)}`);
  t.equal(
    write(0xc02f, nonce.subarray(0, 4), 258),
    `03033300${'0000000000000102'}${aes128}00010203${'0000000000000102'}`,
  );
  t.equal(write(0xcca8, nonce, 1), `03033600${nonce.toString('hex')}${chacha}${'0'.repeat(15)}1`);
  t.equal(
    write(0x1302, nonce, 2 ** 40),
    `04033400${'0405060708090a0b'}${'ee'.repeat(32)}00010203${'0000010000000000'}`,
  );
});
