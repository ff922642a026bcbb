import { NativeMemory } from '../../splice/index.js';
import { type OpenSsl, orThrowTls, TlsError, takeReason } from '../openssl/index.js';

/**
 * Reads the certificates of a PEM text, in their order.
 *
 * @returns addresses of X509, each to be freed with X509_free
 * @throws TlsError when there is none, or one that is not right
 */
export function readCertificates(openssl: OpenSsl, pem: string, subject: string): number[] {
  const read = (bio: number) => openssl.PEM_read_bio_X509(bio, 0, 0, 0);
  return readAll(openssl, pem, subject, 'certificate', read, openssl.X509_free);
}

/** Like {@link readCertificates}, for revocation lists: X509_CRL_free. */
export function readRevocationLists(openssl: OpenSsl, pem: string, subject: string): number[] {
  const read = (bio: number) => openssl.PEM_read_bio_X509_CRL(bio, 0, 0, 0);
  return readAll(openssl, pem, subject, 'revocation list', read, openssl.X509_CRL_free);
}

/**
 * Reads an unencrypted private key.
 *
 * @returns the address of an EVP_PKEY, to be freed with EVP_PKEY_free
 * @throws TlsError when it is none, or encrypted
 */
export function readPrivateKey(openssl: OpenSsl, pem: string, subject: string): number {
  // Without a passphrase OpenSSL would ask for one at the terminal and stop the thread.
  return withPem(openssl, pem, (bio) =>
    orThrowTls(openssl, openssl.PEM_read_bio_PrivateKey(bio, 0, 0, ''), subject),
  );
}

function readAll(
  openssl: OpenSsl,
  pem: string,
  subject: string,
  what: string,
  read: (bio: number) => number,
  free: (address: number) => void,
): number[] {
  return withPem(openssl, pem, (bio) => {
    const found: number[] = [];
    for (let one = read(bio); one !== 0; one = read(bio)) found.push(one);
    // The end of the text is an error like any other: "no start line".
    const reason = takeReason(openssl);
    if (reason !== 'no start line') {
      for (const one of found) free(one);
      throw new TlsError(subject, reason);
    }
    if (found.length === 0) throw new TlsError(subject, `there is no ${what} in it`);
    return found;
  });
}

/** Shows OpenSSL a text, and leaves no copy of it behind. */
function withPem<T>(openssl: OpenSsl, pem: string, use: (bio: number) => T): T {
  const length = Buffer.byteLength(pem);
  const memory = new NativeMemory(Math.max(1, length));
  memory.bytes.write(pem);
  let bio = 0;
  // What others have left in the queue of this thread, Node's own functions too, would pass for an error in the text.
  openssl.ERR_clear_error();
  try {
    bio = orThrowTls(openssl, openssl.BIO_new_mem_buf(memory.address, length), 'a text in memory');
    return use(bio);
  } finally {
    openssl.BIO_free(bio);
    memory.bytes.fill(0);
  }
}
