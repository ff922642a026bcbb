import { NativeMemory } from '../../splice/index.js';
import { commonNameText, nameText, spellServerName } from '../contexts/index.js';
import { Misc, type OpenSsl, readString } from '../openssl/index.js';
import type { TlsVersion } from '../protocol/index.js';

/** What a handshake has agreed on. */
export interface TlsSession {
  readonly version: TlsVersion;
  /** OpenSSL's name, and the number on the wire (the IANA registry of TLS cipher suites). */
  readonly cipher: string;
  readonly cipherId: number;
  readonly isResumed: boolean;
  /** server_name of the client, or the one that the upstream was sent: lower case, without a dot at its end. */
  readonly serverName: string | undefined;
  readonly alpn: string | undefined;
  readonly peer: PeerCertificate | undefined;
}

/** The certificate of the other side. */
export interface PeerCertificate {
  /** The subject as RFC 2253 writes it, in UTF-8. */
  readonly subject: string;
  /** The first common name in it; undefined without one. */
  readonly commonName: string | undefined;
  /** It was verified, with success. */
  readonly isVerified: boolean;
}

interface Cipher {
  readonly name: string;
  readonly id: number;
}

const VERIFY_OK = 0;

const out = new NativeMemory(16);
const outPointer = new BigUint64Array(out.bytes.buffer, 0, 1);
const outLength = new Uint32Array(out.bytes.buffer, 8, 1);
const protocolMemory = new NativeMemory(256);

/** OpenSSL has one description of each cipher, in a table: so many strings are enough. */
const ciphers = new Map<number, Cipher>();

/** Reads off a connection whose handshake is done what it has agreed on. */
export function describeSession(openssl: OpenSsl, ssl: number): TlsSession {
  const cipher = cipherOf(openssl, openssl.SSL_get_current_cipher(ssl));
  const name = openssl.SSL_get_servername(ssl, Misc.TLSEXT_NAMETYPE_host_name);
  return {
    version: openssl.SSL_version(ssl) as TlsVersion,
    cipher: cipher.name,
    cipherId: cipher.id,
    isResumed: openssl.SSL_session_reused(ssl) === 1,
    serverName: name === 0 ? undefined : spellServerName(readString(name)),
    alpn: selectedProtocol(openssl, ssl),
    peer: peerCertificate(openssl, ssl),
  };
}

function cipherOf(openssl: OpenSsl, address: number): Cipher {
  let cipher = ciphers.get(address);
  if (cipher === undefined) {
    const name = openssl.SSL_CIPHER_get_name(address) ?? '';
    cipher = { name, id: openssl.SSL_CIPHER_get_protocol_id(address) };
    ciphers.set(address, cipher);
  }
  return cipher;
}

function selectedProtocol(openssl: OpenSsl, ssl: number): string | undefined {
  openssl.SSL_get0_alpn_selected(ssl, out.address, out.address + 8);
  const length = outLength[0]!;
  if (length === 0) return undefined;
  openssl.memcpy(protocolMemory.address, Number(outPointer[0]!), length);
  return protocolMemory.bytes.toString('latin1', 0, length);
}

function peerCertificate(openssl: OpenSsl, ssl: number): PeerCertificate | undefined {
  const x509 = openssl.SSL_get0_peer_certificate(ssl);
  if (x509 === 0) return undefined;
  const name = openssl.X509_get_subject_name(x509);
  return {
    subject: nameText(openssl, name),
    commonName: commonNameText(openssl, name),
    isVerified: openssl.SSL_get_verify_result(ssl) === VERIFY_OK,
  };
}
