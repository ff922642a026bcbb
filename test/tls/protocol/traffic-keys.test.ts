import t from 'tap';
import { kernelSuite, nextSecret, prf, tls12Keys, tls13Key, wipe } from '#src/tls/index.js';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s+/g, ''), 'hex');

t.test('traffic keys: TLS 1.3 as in RFC 8448', async (t) => {
  const suite = kernelSuite(0x1301)!;
  // §3, Simple 1-RTT Handshake: "server handshake traffic", "server" and "client application traffic".
  const vectors = [
    [
      'b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38',
      '3fce516009c21727d0f2e4e86ee403bc',
      '5d313eb2671276ee13000b30',
    ],
    [
      'a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643',
      '9f02283b6c9c07efc26bb9f2ac92e356',
      'cf782b88dd83549aadf1e984',
    ],
    [
      '9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5',
      '17422dda596ed5d9acd890e3c63f5051',
      '5b78923dee08579033e523d9',
    ],
  ] as const;
  for (const [secret, key, iv] of vectors) {
    const before = hex(secret);
    const made = tls13Key(suite, before);
    t.equal(made.key.toString('hex'), key);
    t.equal(made.iv.toString('hex'), iv);
    t.equal(before.toString('hex'), secret, 'the secret is the caller’s');
  }
});

t.test('traffic keys: the PRF of TLS 1.2 with SHA-256 and SHA-384', async (t) => {
  // The vectors every TLS library tests with, from the IETF TLS list, "TLS 1.2 PRF test vectors".
  const sha256 = prf(
    'sha256',
    hex('9bbe436ba940f017b17652849a71db35'),
    'test label',
    hex('a0ba9f936cda311827a6f796ffd5198c'),
    100,
  );
  t.equal(
    sha256.toString('hex'),
    hex(`e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e
         14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5
         a72e5a5110fff70187347b66`).toString('hex'),
  );
  const sha384 = prf(
    'sha384',
    hex('b80b733d6ceefcdc71566ea48e5567df'),
    'test label',
    hex('cd665cf6a8447dd6ff8b27555edb7465'),
    148,
  );
  t.equal(
    sha384.toString('hex'),
    hex(`7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b123
         3c9146a0e534cb400fed2700884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd
         4abfdad05d9184259b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee691c8f3a2
         6854308d5eaa3be85e0990703d73e56f`).toString('hex'),
  );
});

t.test('traffic keys: TLS 1.2 cuts its key block in the order of RFC 5246 §6.3', async (t) => {
  const master = Buffer.alloc(48, 1);
  const client = Buffer.alloc(32, 2);
  const server = Buffer.alloc(32, 3);
  const seed = Buffer.concat([server, client]);
  for (const [id, keyBytes, ivBytes] of [
    [0xc02f, 16, 4],
    [0xc030, 32, 4],
    [0xcca8, 32, 12],
  ] as const) {
    const suite = kernelSuite(id)!;
    const block = prf(suite.hash, master, 'key expansion', seed, 2 * (keyBytes + ivBytes));
    const keys = tls12Keys(suite, master, client, server);
    const parts = [keys.client.key, keys.server.key, keys.client.iv, keys.server.iv];
    t.ok(Buffer.concat(parts).equals(block));
    t.same(
      parts.map((part) => part.length),
      [keyBytes, keyBytes, ivBytes, ivBytes],
    );
    t.ok(master.equals(Buffer.alloc(48, 1)), 'the secret is the caller’s');
  }
});

t.test('traffic keys: the next secret, with either hash', async (t) => {
  // RFC 8448 has no KeyUpdate. These are of OpenSSL 3.0's own derivation:
  // openssl kdf -kdfopt mode:EXPAND_ONLY -kdfopt prefix:'tls13 ' -kdfopt label:'traffic upd' … TLS13-KDF
  for (const [id, next] of [
    [0x1301, 'e4e9fd5395b1b2c12d57c49ca803ccab1944c4b7404cffb80eae7a8737708e4c'],
    [
      0x1302,
      `76eb5e0655ece81316ee028f0064bd573f0d57551094dd89316ce1d0f194da645649f31bf6f077cbf870aa584ca16022`,
    ],
  ] as const) {
    const secret = Buffer.alloc(next.length / 2, 7);
    t.equal(nextSecret(kernelSuite(id)!, secret).toString('hex'), next);
  }
});

t.test('traffic keys: what has served is overwritten', async (t) => {
  const key = tls13Key(kernelSuite(0x1302)!, Buffer.alloc(48, 1));
  t.notOk(key.key.equals(Buffer.alloc(32)));
  wipe(key);
  t.ok(key.key.equals(Buffer.alloc(32)));
  t.ok(key.iv.equals(Buffer.alloc(12)));
});

t.test('cipher suites: what the kernel has no record layer for is not there', async (t) => {
  // TLS_RSA_WITH_AES_128_CBC_SHA, TLS_AES_128_CCM_SHA256, a GREASE value.
  for (const id of [0x002f, 0x1304, 0x0a0a]) t.equal(kernelSuite(id), undefined);
});
