import type { TlsVersion } from '../protocol/index.js';

/**
 * Whether records are the kernel's affair after the handshake: where it can, or else the handshake
 * fails, or never.
 */
export type KernelTls = 'auto' | 'require' | 'off';

/** What both ends of a connection settle alike; texts are OpenSSL's. */
export interface ProtocolSettings {
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** For TLS 1.2 (`SSL_CTX_set_cipher_list`); absent: OpenSSL's default. */
  readonly ciphers?: string | undefined;
  /** For TLS 1.3 (`SSL_CTX_set_ciphersuites`); absent: OpenSSL's default. */
  readonly ciphersuites?: string | undefined;
  /** Groups for the key exchange (`SSL_CTX_set1_groups_list`); absent: OpenSSL's default. */
  readonly curves?: string | undefined;
  readonly kernel: KernelTls;
  /**
   * Equal ones mean equal settings, certificates and keys included: an `SSL_CTX` made from the one
   * does for the other, although each message to a worker brings a copy of its own.
   */
  readonly fingerprint?: string | undefined;
}

/** One certificate with its key; PEM and DER as read, so that workers open no files. */
export interface CertificateSettings {
  /** Server names it is for, lower case, `*.` for one label more; empty: only as the default. */
  readonly names: readonly string[];
  /** PEM: the certificate, then those that lead from it to the root. */
  readonly chain: string;
  /** PEM, not encrypted. Never logged; buffers that held it are overwritten. */
  readonly key: string;
  /** A stapled OCSP response, DER (RFC 6960). */
  readonly ocsp?: Uint8Array | undefined;
}

/** How clients are asked for certificates of their own. */
export interface ClientAuthSettings {
  readonly mode: 'request' | 'require';
  /** PEM: whom to trust. */
  readonly ca: string;
  readonly verifyDepth: number;
  /** PEM: revocation lists. */
  readonly crl?: string | undefined;
  /** One of them is past its next update: nobody is verified by it any more, and sessions from before are not resumed. */
  readonly isListPast?: boolean | undefined;
}

/**
 * TLS of a listener, plain data that travels to workers by structured clone. The first certificate
 * is the default; certificates with equal names (RSA beside ECDSA) serve the same names together.
 */
export interface ServerTlsSettings extends ProtocolSettings {
  readonly certificates: readonly CertificateSettings[];
  /** Application protocols by the server's preference; empty: the extension is ignored. */
  readonly alpn: readonly string[];
  /** 80 bytes each; the first one encrypts, all decrypt. Empty: no session tickets. */
  readonly ticketKeys: readonly Uint8Array[];
  readonly clientAuth?: ClientAuthSettings | undefined;
}

/** TLS to an upstream. */
export interface ClientTlsSettings extends ProtocolSettings {
  /**
   * For SNI and verification, of all endpoints; absent: the name that led to each, and where there is
   * none, no SNI, and the certificate must name the address.
   */
  readonly serverName?: string | undefined;
  /** False trusts anybody. */
  readonly verify: boolean;
  /** PEM: whom to trust. The control thread fills in the system's where none is configured. */
  readonly ca: string;
  /** The proxy's own certificate, where the upstream asks for one. */
  readonly certificate?: CertificateSettings | undefined;
  readonly alpn: readonly string[];
}
