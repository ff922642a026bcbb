/** Wire values (RFC 8446 §4.2.1): what `SSL_version` and the kernel's `crypto_info` say, too. */
export const TlsVersion = { Tls12: 0x0303, Tls13: 0x0304 } as const;
export type TlsVersion = (typeof TlsVersion)[keyof typeof TlsVersion];
