import { NativeMemory } from '../../splice/index.js';
import {
  ContextFlag,
  Control,
  callbackAddresses,
  type OpenSsl,
  orThrowTls,
} from '../openssl/index.js';
import { readCertificates, readPrivateKey } from './pem.js';
import type { CertificateSettings, ProtocolSettings } from './settings.js';

/** What a thread makes of its contexts, apart from what is configured. */
export interface ContextUse {
  /** Connections may go on in the kernel: secrets are caught, and no record is read too early. */
  readonly kernel: boolean;
}

/**
 * Read ahead at a time where records stay in userland: four records and a bit. A read(2) that got
 * less than half of it has emptied the socket (see UserlandTlsTransport).
 */
export const READ_AHEAD_BYTES = 4 * (16384 + 256);

const {
  SSL_MODE_ENABLE_PARTIAL_WRITE,
  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
  SSL_MODE_NO_AUTO_CHAIN,
  SSL_MODE_RELEASE_BUFFERS,
} = ContextFlag;
const MODES =
  SSL_MODE_ENABLE_PARTIAL_WRITE |
  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
  SSL_MODE_NO_AUTO_CHAIN |
  SSL_MODE_RELEASE_BUFFERS;

// An end without close_notify is an end all the same, and told apart by the socket BIO: with
// OpenSSL's own error for it nothing could be written any more to a client that has only finished
// sending.
const OPTIONS =
  ContextFlag.SSL_OP_NO_COMPRESSION +
  ContextFlag.SSL_OP_NO_RENEGOTIATION +
  ContextFlag.SSL_OP_IGNORE_UNEXPECTED_EOF;

/**
 * An SSL_CTX with what both ends settle alike. A connection holds a reference of its own: the caller
 * may free the context while connections live.
 *
 * @param method TLS_server_method or TLS_client_method
 * @throws TlsError naming the setting that OpenSSL refuses
 */
export function createContext(
  openssl: OpenSsl,
  method: number,
  settings: ProtocolSettings,
  use: ContextUse,
): number {
  openssl.ERR_clear_error();
  const context = orThrowTls(openssl, openssl.SSL_CTX_new(method), 'TLS context');
  try {
    applyProtocol(openssl, context, settings);
  } catch (error) {
    openssl.SSL_CTX_free(context);
    throw error;
  }
  if (use.kernel) {
    openssl.SSL_CTX_set_keylog_callback(context, callbackAddresses().keylog);
  } else {
    openssl.SSL_CTX_ctrl(context, Control.SSL_CTRL_SET_READ_AHEAD, 1, 0);
    openssl.SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD_BYTES);
  }
  return context;
}

function applyProtocol(openssl: OpenSsl, context: number, settings: ProtocolSettings): void {
  const { minVersion, maxVersion, ciphers, ciphersuites, curves } = settings;
  const control = (command: number, value: number, subject: string): void => {
    orThrowTls(openssl, openssl.SSL_CTX_ctrl(context, command, value, 0), subject);
  };
  openssl.SSL_CTX_ctrl(context, Control.SSL_CTRL_MODE, MODES, 0);
  openssl.SSL_CTX_set_options(context, OPTIONS);
  control(Control.SSL_CTRL_SET_MIN_PROTO_VERSION, minVersion, 'the lowest version');
  control(Control.SSL_CTRL_SET_MAX_PROTO_VERSION, maxVersion, 'the highest version');
  if (ciphers !== undefined) {
    orThrowTls(openssl, openssl.SSL_CTX_set_cipher_list(context, ciphers), `ciphers ${ciphers}`);
  }
  if (ciphersuites !== undefined) {
    const result = openssl.SSL_CTX_set_ciphersuites(context, ciphersuites);
    orThrowTls(openssl, result, `ciphersuites ${ciphersuites}`);
  }
  if (curves !== undefined) setCurves(openssl, context, curves);
}

function setCurves(openssl: OpenSsl, context: number, curves: string): void {
  const memory = NativeMemory.copyOf(Buffer.from(`${curves}\0`));
  const result = openssl.SSL_CTX_ctrl(context, Control.SSL_CTRL_SET_GROUPS_LIST, 0, memory.address);
  orThrowTls(openssl, result, `curves ${curves}`);
}

/**
 * Adds a certificate, its chain and its key. A context takes one of each kind of key: RSA beside
 * ECDSA.
 *
 * @param subject how messages call it
 * @returns the address of the X509, which lives as long as the context
 * @throws TlsError when OpenSSL refuses it, or the key belongs to another one
 */
export function addCertificate(
  openssl: OpenSsl,
  context: number,
  { chain, key }: CertificateSettings,
  subject: string,
): number {
  const certificates = readCertificates(openssl, chain, subject);
  const pkey = keyOrFree(openssl, certificates, key, subject);
  const [leaf, ...others] = certificates as [number, ...number[]];
  try {
    orThrowTls(openssl, openssl.SSL_CTX_use_certificate(context, leaf), subject);
    orThrowTls(openssl, openssl.SSL_CTX_use_PrivateKey(context, pkey), subject);
    orThrowTls(openssl, openssl.SSL_CTX_check_private_key(context), subject);
    for (const other of others) {
      // With 1 it takes a reference of its own (SSL_CTX_add1_chain_cert).
      const result = openssl.SSL_CTX_ctrl(context, Control.SSL_CTRL_CHAIN_CERT, 1, other);
      orThrowTls(openssl, result, subject);
    }
  } finally {
    for (const certificate of certificates) openssl.X509_free(certificate);
    openssl.EVP_PKEY_free(pkey);
  }
  return leaf;
}

function keyOrFree(
  openssl: OpenSsl,
  certificates: readonly number[],
  key: string,
  subject: string,
): number {
  try {
    return readPrivateKey(openssl, key, `the key of ${subject}`);
  } catch (error) {
    for (const certificate of certificates) openssl.X509_free(certificate);
    throw error;
  }
}

/** How a certificate is called in messages: by its names, for it has no other. */
export function certificateSubject({ names }: CertificateSettings, index: number): string {
  return names.length === 0
    ? `certificate ${index + 1}`
    : `the certificate for ${names.join(', ')}`;
}
