import { NativeMemory } from '../../splice/index.js';
import { Misc, type OpenSsl } from '../openssl/index.js';

const BYTES_MAX = 4096;
const memory = new NativeMemory(BYTES_MAX);

/** A distinguished name as RFC 2253 writes it, in UTF-8. @param name address of an X509_NAME */
export function nameText(openssl: OpenSsl, name: number): string {
  const bio = openssl.BIO_new(openssl.BIO_s_mem());
  openssl.X509_NAME_print_ex(bio, name, 0, Misc.XN_FLAG_RFC2253_UTF8);
  const length = Math.max(0, openssl.BIO_read(bio, memory.address, BYTES_MAX));
  openssl.BIO_free(bio);
  return memory.bytes.toString('utf8', 0, length);
}

/** The first common name in it; undefined without one. */
export function commonNameText(openssl: OpenSsl, name: number): string | undefined {
  const { address, bytes } = memory;
  const length = openssl.X509_NAME_get_text_by_NID(name, Misc.NID_commonName, address, BYTES_MAX);
  return length < 0 ? undefined : bytes.toString('utf8', 0, length);
}
