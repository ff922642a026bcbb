import { ContextFlag, type OpenSsl, orThrowTls } from '../openssl/index.js';
import { readCertificates, readRevocationLists } from './pem.js';

/** Whom a context trusts. */
export interface Trust {
  /** PEM */
  readonly ca: string;
  /** PEM: from then on each certificate of a chain needs a list of its issuer. */
  readonly crl?: string | undefined;
}

/**
 * @param named the authorities are named to clients, so that they can choose a certificate
 * @throws TlsError when a text is not right
 */
export function setTrust(openssl: OpenSsl, context: number, trust: Trust, named: boolean): void {
  const store = openssl.SSL_CTX_get_cert_store(context);
  // An intermediate that was given as trusted is trusted, without its root.
  openssl.X509_STORE_set_flags(store, ContextFlag.X509_V_FLAG_PARTIAL_CHAIN);
  const authorities = readCertificates(openssl, trust.ca, 'the trusted certificates');
  try {
    for (const authority of authorities) {
      orThrowTls(openssl, openssl.X509_STORE_add_cert(store, authority), 'a trusted certificate');
      if (named) openssl.SSL_CTX_add_client_CA(context, authority);
    }
  } finally {
    for (const authority of authorities) openssl.X509_free(authority);
  }
  if (trust.crl !== undefined) addRevocationLists(openssl, store, trust.crl);
}

/** Has a context trust, and name to clients, whom another one does: the store with its certificates is the same one, read once. */
export function shareTrust(openssl: OpenSsl, from: number, to: number): void {
  const store = openssl.SSL_CTX_get_cert_store(from);
  openssl.SSL_CTX_set1_cert_store(to, store);
  const names = openssl.SSL_dup_CA_list(openssl.SSL_CTX_get_client_CA_list(from));
  openssl.SSL_CTX_set_client_CA_list(to, orThrowTls(openssl, names, 'the names of authorities'));
}

function addRevocationLists(openssl: OpenSsl, store: number, crl: string): void {
  const lists = readRevocationLists(openssl, crl, 'the revocation lists');
  try {
    for (const list of lists) {
      orThrowTls(openssl, openssl.X509_STORE_add_crl(store, list), 'a revocation list');
    }
  } finally {
    for (const list of lists) openssl.X509_CRL_free(list);
  }
  const { X509_V_FLAG_CRL_CHECK, X509_V_FLAG_CRL_CHECK_ALL } = ContextFlag;
  openssl.X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}
